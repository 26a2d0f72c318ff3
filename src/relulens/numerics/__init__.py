"""Doors to solvers: linear programs and eigenvalue problems."""
