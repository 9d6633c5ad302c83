"""Bulk repair: one command on many things, in small watched stages, carried out by the dispatchers."""
