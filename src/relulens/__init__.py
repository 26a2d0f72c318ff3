"""Exact answers about trained piecewise-affine networks."""
