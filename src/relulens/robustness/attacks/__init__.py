"""Attacks that change few entries of an input."""
