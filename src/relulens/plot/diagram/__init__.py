"""Lay out a network as a diagram: rows from top to bottom, links beside them."""

from relulens.plot.diagram.folding import folded
from relulens.plot.diagram.rows import Diagram, Link, Row, Step

__all__ = ["Diagram", "Link", "Row", "Step", "folded"]
