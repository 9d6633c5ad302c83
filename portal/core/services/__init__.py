"""Every write to the kernel's own tables, each with its audit row."""
