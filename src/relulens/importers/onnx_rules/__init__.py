"""What ONNX operations mean, one family a file; importing this registers the rules."""

from relulens.importers.onnx_rules import (
    activations,
    arithmetic,
    constants,
    convolution,
    einsum,
    indexing,
    normalise,
    pooling,
    products,
    recurrent,
    reductions,
    resize,
    shapes,
)

__all__ = [
    "activations",
    "arithmetic",
    "constants",
    "convolution",
    "einsum",
    "indexing",
    "normalise",
    "pooling",
    "products",
    "recurrent",
    "reductions",
    "resize",
    "shapes",
]
