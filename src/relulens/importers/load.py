"""Load a network from a file, without running code from it."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from relulens.errors import InvalidArgumentError, ModelLoadError, UnsafeModelError
from relulens.graph.domain import Box
from relulens.graph.network import Network
from relulens.importers.file_kinds import FileKind, file_kind


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Wanted:
    """What ``load`` was asked for besides the file.

    Attributes:
        arch: ``"file.py:build"``, or nothing.
        input_shape: Shape of one input, or nothing.
        output: Name of the output, or nothing.
        mean: Subtracted from the input first, or nothing.
        std: The input is divided by it first, or nothing.
        domain: The inputs that the network is meant for, or nothing.
        dtype: Type of every number.
        device: Where every number lives.
        check: Whether to compare with the source.
        allow_unsafe: Whether to open files that can run code.
    """

    arch: str | None
    input_shape: tuple[int, ...] | None
    output: str | None
    mean: object
    std: object
    domain: Box | None
    dtype: torch.dtype
    device: torch.device | str
    check: bool
    allow_unsafe: bool


def load(
    path: str | Path,
    *,
    arch: str | None = None,
    input_shape: Sequence[int] | None = None,
    output: str | None = None,
    mean: object = None,
    std: object = None,
    domain: Box | None = None,
    dtype: torch.dtype = torch.float64,
    device: torch.device | str = "cpu",
    check: bool = True,
    allow_unsafe: bool = False,
) -> Network:
    """Return the network in a file.

    What a file is, is told by its content. Files that can run code when they are opened
    (full pickles, TorchScript, ``.pt2``) are refused.

    Args:
        path: ``.onnx``; a state_dict (``.pt``, ``.pth``) or ``.safetensors`` with
            ``arch``; ``.npz`` with W0 [out, in], b0, W1, b1, ...: ReLU between layers.
        arch: ``"file.py:build"``, your own code: ``build()`` returns the module that
            the weights belong to, or the module and an example input with a batch axis.
        input_shape: Shape of one input without the batch axis, where nothing else says
            it: for ``arch``, and for ONNX files that leave lengths open.
        output: Name of a layer or tensor to end at; by default the only output, or the
            logits before a softmax or argmax.
        mean: Subtracted from the input first; a number, or one a channel.
        std: The input is divided by it first.
        domain: The inputs that the network is meant for.
        dtype: Type of every number.
        device: Where every number lives.
        check: Whether to compare the network with its source on sample inputs.
        allow_unsafe: Whether to open files that can run code; recorded in the
            provenance.

    Returns:
        The network, with its file's path and hash in ``provenance``.

    Raises:
        ModelLoadError: The file cannot be read.
        UnsafeModelError: It can run code, and that was not allowed.
        AmbiguousModelError: It has several inputs or outputs, and none was chosen.
        UnsupportedOperationError: Operations have no rule; all are listed.
        NotFiniteError: A weight is NaN or infinite.
        ImportMismatchError: The network and its source disagree.

    Cost:
        Reading the file, and a few forward passes of the source for the check.

    Example:
        >>> np.savez("layers.npz", W0=[[1.0], [-1.0]], W1=[[1.0, 1.0]])
        >>> evaluate(load("layers.npz"), [[-2.0]])
        tensor([[2.]], dtype=torch.float64)
    """
    wanted = Wanted(
        arch=arch,
        input_shape=None if input_shape is None else tuple(input_shape),
        output=output,
        mean=mean,
        std=std,
        domain=domain,
        dtype=dtype,
        device=device,
        check=check,
        allow_unsafe=allow_unsafe,
    )
    file = Path(path)
    kind = file_kind(file)
    match kind:
        case "onnx":
            return _onnx(file, wanted)
        case "npz":
            return _recorded(_layers(file, wanted), file)
        case "safetensors" | "torch" | "torch-legacy":
            return _weights(file, kind, wanted)
        case "torchscript" | "pt2" | "pickle":
            return _able_to_run_code(file, kind, wanted)
    raise ModelLoadError(f"cannot load {str(path)!r}: its kind {kind!r} is not known.")


def _recorded(network: Network, file: Path, *, unsafe: bool = False) -> Network:
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    known = replace(
        network.provenance, path=str(file), sha256=digest.hexdigest(), unsafe=unsafe
    )
    return replace(network, provenance=known)


def _onnx(file: Path, wanted: Wanted) -> Network:
    from relulens.importers.onnx_model.importing import from_onnx  # Heavy.

    if wanted.arch is not None:
        raise InvalidArgumentError(
            f"cannot use arch={wanted.arch!r}: {file.name!r} is an ONNX file, which"
            " holds its architecture. Leave arch out."
        )
    return from_onnx(
        file,
        input_shape=wanted.input_shape,
        output=wanted.output,
        mean=wanted.mean,
        std=wanted.std,
        domain=wanted.domain,
        dtype=wanted.dtype,
        device=wanted.device,
        check=wanted.check,
    )


def _layers(file: Path, wanted: Wanted) -> Network:
    from relulens.importers.layers import from_layers
    from relulens.importers.state_dicts import read_layers

    network = from_layers(
        read_layers(file),
        mean=wanted.mean,
        std=wanted.std,
        domain=wanted.domain,
        dtype=wanted.dtype,
        device=wanted.device,
    )
    if wanted.output is None:
        return network
    return network.with_output(network.find(wanted.output))


def _weights(file: Path, kind: FileKind, wanted: Wanted) -> Network:
    """Load weights into the user's architecture; a full module only if allowed."""
    from relulens.importers import state_dicts  # Heavy, as are the two below.
    from relulens.importers.architecture import build_module

    try:
        reader = (
            state_dicts.read_safetensors
            if kind == "safetensors"
            else state_dicts.read_state_dict
        )
        weights = reader(file)
    except UnsafeModelError:
        if not wanted.allow_unsafe:
            raise
        return _able_to_run_code(file, kind, wanted)
    if wanted.arch is None:
        raise ModelLoadError(
            f"cannot load {str(file)!r}: it holds {len(weights)} weights and no"
            " architecture. Pass arch='file.py:build', your own function that returns"
            " the module they belong to."
        )
    built = build_module(wanted.arch, wanted.input_shape)
    state_dicts.fill(built.module, weights, file)
    return _recorded(_module(built.module, built.example, wanted), file)


def _able_to_run_code(file: Path, kind: FileKind, wanted: Wanted) -> Network:
    from relulens.importers.unsafe_files import open_unsafe, refuse  # Heavy.

    if not wanted.allow_unsafe or kind == "pickle":
        refuse(file, kind)
    built = open_unsafe(file, kind, wanted.input_shape)
    return _recorded(_module(built.module, built.example, wanted), file, unsafe=True)


def _module(module: object, example: object, wanted: Wanted) -> Network:
    from relulens.importers.torch_export import from_torch  # Heavy.

    if not isinstance(module, torch.nn.Module):
        raise ModelLoadError(
            f"cannot import a {type(module).__name__}: a torch.nn.Module is needed."
        )
    return from_torch(
        module,
        example,
        output=wanted.output,
        mean=wanted.mean,
        std=wanted.std,
        domain=wanted.domain,
        dtype=wanted.dtype,
        device=wanted.device,
        check=wanted.check,
    )
