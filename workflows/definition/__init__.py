"""The shape of a workflow as its author writes it: pure Python values, no database."""
