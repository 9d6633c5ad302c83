"""What the engine costs, measured beside other ways to do the same, on one machine in one run."""
