"""Bounds of every value in a network over a box, from intervals to exact programs."""
