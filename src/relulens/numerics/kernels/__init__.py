"""Compiled kernels: the one door to numba.

Whoever changes a kernel that other files call removes ``__pycache__`` here, or runs the
tests, which do: what numba keeps compiled does not follow calls across files.
"""
