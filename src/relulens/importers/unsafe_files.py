"""Files that can run code when they are opened: refused, or opened on demand."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn
from torch._export.converter import TS2EPConverter

from relulens.errors import ModelLoadError, UnsafeModelError
from relulens.importers.architecture import Built, example_for
from relulens.importers.file_kinds import FileKind

_WHAT = {
    "torchscript": "TorchScript",
    "pt2": "a .pt2 file of torch.export",
    "pickle": "a pickle (joblib writes them too)",
}
_INSTEAD = {
    "torchscript": (
        "Export the module to ONNX with torch.onnx.export, or save its state_dict and"
        " pass arch='file.py:build'. allow_unsafe=True opens it all the same."
    ),
    "pt2": (
        "Export the module to ONNX with torch.onnx.export, or save its state_dict and"
        " pass arch='file.py:build'. allow_unsafe=True opens it all the same."
    ),
    "pickle": (
        "Load it yourself if you trust it, and pass the object to from_torch or"
        " from_sklearn; this function never opens one."
    ),
}


def refuse(path: Path, kind: FileKind) -> None:
    """Refuse a file that can run code.

    Raises:
        UnsafeModelError: Always.
    """
    raise UnsafeModelError(
        f"cannot load {str(path)!r}: it is {_WHAT[kind]}, and opening one can run any"
        f" code that it holds. {_INSTEAD[kind]}"
    )


def open_unsafe(path: Path, kind: FileKind, input_shape: Sequence[int] | None) -> Built:
    """Open a file that can run code, which the user has allowed.

    Args:
        path: The file.
        kind: ``"torch"``, ``"torch-legacy"``, ``"pt2"`` or ``"torchscript"``.
        input_shape: Shape of one input, where the file does not hold an example.

    Raises:
        ModelLoadError: It cannot be opened, or holds no module.
    """
    subject = str(path)
    if kind == "pt2":
        program = torch.export.load(path)
        given = program.example_inputs
        return Built(
            module=program.module(),
            example=example_for(
                program.module(), given[0][0] if given else None, input_shape, subject
            ),
        )
    if kind == "torchscript":
        return _converted(path, input_shape)
    module = torch.load(path, map_location="cpu", weights_only=False)
    if not isinstance(module, nn.Module):
        raise ModelLoadError(
            f"cannot load {subject!r}: it holds a {type(module).__name__}, and a"
            " torch.nn.Module is needed. Save module.state_dict() instead."
        )
    return Built(module=module, example=example_for(module, None, input_shape, subject))


def _converted(path: Path, input_shape: Sequence[int] | None) -> Built:
    """Open TorchScript and convert it to a module that can be exported."""
    script = torch.jit.load(path, map_location="cpu")
    example = example_for(script, None, input_shape, str(path))
    try:
        program = TS2EPConverter(script, (example,)).convert()
    except (RuntimeError, ValueError, KeyError) as error:
        raise ModelLoadError(
            f"cannot load {str(path)!r}: torch cannot convert its TorchScript"
            f" ({error}). Export the module to ONNX instead."
        ) from error
    return Built(module=program.module(check_guards=False), example=example)
