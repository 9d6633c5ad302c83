"""Reads of the kernel's own tables, in fixed numbers of queries."""
