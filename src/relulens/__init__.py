"""Exact answers about trained piecewise-affine networks."""

from importlib import import_module

# Public name -> the module it lives in; loaded on first use, because torch is slow.
_HOMES: dict[str, str] = {
    "Box": "relulens.graph.domain",
    "Network": "relulens.graph.network",
    "Tolerances": "relulens.graph.tolerances",
    "activation_pattern": "relulens.local.pattern",
    "evaluate": "relulens.graph.evaluate",
    "from_layers": "relulens.importers.layers",
    "local_affine_map": "relulens.local.affine_map",
    "singular_values": "relulens.local.spectrum",
    "templates": "relulens.local.templates",
}
_ROOMS = ("errors",)

__all__ = [*_HOMES, *_ROOMS]


def __getattr__(name: str) -> object:
    """Load a public name on first use."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    if name in _ROOMS:
        return import_module(f"relulens.{name}")
    raise AttributeError(f"module 'relulens' has no attribute {name!r}")


def __dir__() -> list[str]:
    """Return the public names."""
    return sorted(__all__)
