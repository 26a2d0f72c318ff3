"""The user's own file that builds a module for weights without an architecture."""

import importlib.util
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from relulens.errors import ModelLoadError


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Built:
    """A module and an input that it takes.

    Attributes:
        module: The module.
        example: An input with its batch axis.
    """

    module: nn.Module
    example: Tensor


def build_module(arch: str, input_shape: Sequence[int] | None) -> Built:
    """Run ``build()`` of the file that ``arch="file.py:build"`` names.

    Args:
        arch: Path of a Python file and the name of a function in it, which returns a
            module, or a module and an example input with its batch axis.
        input_shape: Shape of one input, where the function returns no example.

    Raises:
        ModelLoadError: There is no such function, it returns something else, or there
            is no example.
    """
    file, _, name = arch.rpartition(":")
    path = Path(file)
    if not file or not name or not path.is_file():
        raise ModelLoadError(
            f"cannot use arch={arch!r}: there is no file {file!r} with a function"
            f" {name!r}. Pass 'file.py:build', the path of your own code."
        )
    result = _function(path, name)()
    module, given = result if isinstance(result, tuple) else (result, None)
    if not isinstance(module, nn.Module):
        raise ModelLoadError(
            f"cannot use arch={arch!r}: {name}() returned {type(module).__name__}, and"
            " a torch.nn.Module is needed, or a module and an example input."
        )
    return Built(module=module, example=example_for(module, given, input_shape, arch))


def _function(path: Path, name: str):  # noqa: ANN202 (the user's own)
    label = f"relulens_architecture_{path.stem}"
    spec = importlib.util.spec_from_file_location(label, path)
    if spec is None or spec.loader is None:
        raise ModelLoadError(
            f"cannot use arch='{path}:{name}': {path.name!r} is no Python file. Pass"
            " 'file.py:build'."
        )
    module = importlib.util.module_from_spec(spec)
    sys.modules[label] = module  # Dataclasses look their module up.
    folder = str(path.parent.resolve())
    sys.path.insert(0, folder)
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(folder)
    found = vars(module).get(name)
    if not callable(found):
        there = [key for key, value in vars(module).items() if callable(value)]
        raise ModelLoadError(
            f"cannot use arch='{path}:{name}': the file has no function {name!r}; it"
            f" has {', '.join(sorted(there)) or 'none'}. Name one that returns the"
            " module."
        )
    return found


def example_for(
    module: nn.Module, given: object, input_shape: Sequence[int] | None, subject: str
) -> Tensor:
    """Return an example input of a module, drawn where only its shape is known.

    Raises:
        ModelLoadError: Neither an example nor a shape is known.
    """
    if given is not None:
        example = given[0] if isinstance(given, (tuple, list)) else given
        return torch.as_tensor(example)
    if input_shape is None:
        raise ModelLoadError(
            f"cannot import {subject!r}: the shape of its input is not known, and"
            " weights do not say it. Pass input_shape=, the shape of one input without"
            " the batch axis, or let build() return (module, example_input)."
        )
    kinds = [t.dtype for t in module.parameters() if t.is_floating_point()]
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(2, *input_shape, generator=generator, dtype=torch.float64)
    return drawn.to(kinds[0] if kinds else torch.get_default_dtype())
