"""Exact partitions of the input space into linear regions."""
