"""An app with a workflow that starts by the clock and starts runs of another."""
