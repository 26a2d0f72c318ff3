"""Exact rewrites of networks."""
