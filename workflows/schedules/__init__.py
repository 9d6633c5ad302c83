"""Runs that start by the clock: when they are due, what was missed, and a person's hand on them."""
