"""Exact answers about trained piecewise-affine networks."""

import sys
from importlib import import_module
from types import ModuleType

# Public name -> the module it lives in; loaded on first use, because torch is slow.
_HOMES: dict[str, str] = {
    "Box": "relulens.graph.domain",
    "Network": "relulens.graph.network",
    "Tolerances": "relulens.graph.tolerances",
    "activation_pattern": "relulens.local.pattern",
    "evaluate": "relulens.graph.evaluate",
    "from_layers": "relulens.importers.layers",
    "local_affine_map": "relulens.local.affine_map",
    "report": "relulens.report.report",
    "singular_values": "relulens.local.spectrum",
    "survey": "relulens.survey.survey",
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


class _Package(ModuleType):
    """Keeps ``relulens.report`` the function when the package of that name is loaded."""

    def __setattr__(self, name: str, value: object) -> None:
        """Set an attribute, unless it is a room that has a public name's name."""
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
