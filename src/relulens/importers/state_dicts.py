"""Weights by name from files that cannot run code."""

import pickle
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from relulens.errors import ModelLoadError, NotFiniteError, UnsafeModelError

_WRAPPERS = ("state_dict", "model_state_dict", "model", "module", "net", "weights")


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file.

    Raises:
        ModelLoadError: The file is damaged.
    """
    try:
        return load_file(path)
    except SafetensorError as error:
        raise ModelLoadError(
            f"cannot load {str(path)!r}: it is not a whole safetensors file ({error})."
            " Save or copy it again."
        ) from error


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Return the weights that ``torch.save`` wrote, read without running any code.

    Raises:
        UnsafeModelError: The file holds more than weights.
        ModelLoadError: The file is damaged, or holds no weights.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UnsafeModelError(
            f"cannot load {str(path)!r}: it is a full pickle of a module, and opening"
            " one can run any code that it holds. Save the weights alone,"
            " torch.save(module.state_dict(), path), and pass arch='file.py:build'; or"
            " export the module to ONNX with torch.onnx.export. allow_unsafe=True opens"
            " it all the same."
        ) from error
    except (RuntimeError, EOFError, ValueError, KeyError) as error:
        raise ModelLoadError(
            f"cannot load {str(path)!r}: torch cannot read it ({error}). It is"
            " truncated or damaged: save or copy it again."
        ) from error
    return state_dict_in(content, path)


def state_dict_in(content: object, path: Path) -> dict[str, Tensor]:
    """Return the weights by name in what a file holds, a checkpoint's wrapper undone.

    Raises:
        ModelLoadError: There are none, or several that could be meant.
    """
    found = _tensors(content)
    if found is None and isinstance(content, Mapping):
        inner = {key: _tensors(content.get(key)) for key in _WRAPPERS}
        candidates = {key: value for key, value in inner.items() if value is not None}
        if len(candidates) == 1:
            found = next(iter(candidates.values()))
    if not found:
        keys = list(content)[:5] if isinstance(content, Mapping) else []
        raise ModelLoadError(
            f"cannot load {str(path)!r}: it holds a {type(content).__name__}"
            f" {f'with {keys} ' if keys else ''}and 0 weights by name. Save"
            " module.state_dict()."
        )
    prefix = "module."  # What DataParallel puts in front.
    if all(name.startswith(prefix) for name in found):
        found = {name.removeprefix(prefix): value for name, value in found.items()}
    return found


def _tensors(content: object) -> dict[str, Tensor] | None:
    if not isinstance(content, Mapping) or not content:
        return None
    pairs = content.items()
    if not all(isinstance(v, Tensor) and isinstance(k, str) for k, v in pairs):
        return None
    return {str(key): value for key, value in content.items()}


def fill(module: nn.Module, weights: Mapping[str, Tensor], path: Path) -> None:
    """Put weights into a module.

    Raises:
        ModelLoadError: Names or shapes differ.
        NotFiniteError: A weight is NaN or infinite.
    """
    for name, tensor in weights.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            bad = int((~torch.isfinite(tensor)).sum())
            raise NotFiniteError(
                f"cannot load {str(path)!r}: {bad} of the {tensor.numel()} numbers of"
                f" {name!r} are NaN or infinite. Train or save the model again."
            )
    try:
        module.load_state_dict(dict(weights))
    except RuntimeError as error:
        raise ModelLoadError(
            f"cannot load {str(path)!r}: its {len(weights)} weights do not fit the"
            f" module that arch builds ({error}). Build the module they were trained"
            " in."
        ) from error


def read_layers(path: Path) -> list[tuple[np.ndarray, np.ndarray | None]]:
    """Return the matrices W0, W1, ... and vectors b0, b1, ... of an .npz file.

    Raises:
        ModelLoadError: Names are missing or others are there, or it holds objects.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (ValueError, OSError, EOFError) as error:
        raise ModelLoadError(
            f"cannot load {str(path)!r}: its arrays cannot be read without running code"
            f" or are damaged ({error}). Save plain arrays W0, b0, W1, b1, ..."
        ) from error
    count = sum(name.startswith("W") for name in arrays)
    wanted = {f"{letter}{i}" for i in range(count) for letter in "Wb"}
    if not count or not {f"W{i}" for i in range(count)} <= set(arrays) <= wanted:
        raise ModelLoadError(
            f"cannot load {str(path)!r}: its {len(arrays)} arrays are"
            f" {', '.join(sorted(arrays)) or 'none'}, and W0, b0, W1, b1, ... are"
            " needed (W [out, in]). Rename them."
        )
    return [(arrays[f"W{i}"], arrays.get(f"b{i}")) for i in range(count)]
