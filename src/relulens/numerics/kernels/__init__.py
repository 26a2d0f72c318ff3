"""Compiled kernels: the one door to numba."""
