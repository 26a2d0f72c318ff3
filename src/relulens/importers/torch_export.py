"""Networks from PyTorch modules, through ``torch.export``."""

import copy
import hashlib
import inspect
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

import relulens.importers.aten  # noqa: F401  registers the rules
from relulens.errors import (
    AmbiguousModelError,
    InvalidArgumentError,
    ModelLoadError,
    NotFiniteError,
)
from relulens.graph.domain import Box
from relulens.graph.network import Network
from relulens.importers.agreement import sample_inputs
from relulens.importers.aten.assemble import (
    TorchSource,
    assembled,
    needed_nodes,
    read_inputs,
)
from relulens.importers.aten.names import name_nodes
from relulens.importers.aten.outputs import choose_output, tail_names
from relulens.importers.aten.prepare import named_tensors, prepared_copy
from relulens.importers.aten.program import (
    check_inputs,
    dependent_nodes,
    exported,
    run_example,
)
from relulens.importers.aten.reference import with_agreement
from relulens.importers.values import BatchAxis

_LOG = logging.getLogger("relulens")


def from_torch(
    module: nn.Module,
    example_input: object,
    *,
    batch_axis: int = 0,
    output: str | int | None = None,
    mean: object = None,
    std: object = None,
    domain: Box | None = None,
    dtype: torch.dtype = torch.float64,
    device: torch.device | str = "cpu",
    check: bool = True,
) -> Network:
    """Return the network that a PyTorch module computes in eval mode.

    The module itself is never changed: a copy is exported, with parametrisations made
    plain weights. Coefficients are float64 copies of the weights.

    Args:
        module: Any module that ``torch.export`` takes with a batch of any size.
        example_input: An input with its batch axis; its numbers matter to ``check``.
        batch_axis: The input's batch axis; networks here have it first.
        output: Name or place of an output, or the name of a module or operation; the
            only output by default, without a softmax or argmax at its end.
        mean: Subtracted from the input first; a number, or one a channel.
        std: The input is divided by it first.
        domain: The inputs that the network is meant for.
        dtype: Type of every number.
        device: Where every number lives.
        check: Whether to compare the network with the module at batches of 1, 2 and 3.

    Returns:
        The network; names are the paths of modules.

    Raises:
        UnsupportedOperationError: Operations have no rule; all of them are named.
        AmbiguousModelError: The module has several inputs, or outputs to choose from.
        ModelLoadError: It is no module, fails on the example, or cannot be exported.
        ImportMismatchError: The network differs from the module.
        NotFiniteError: A weight or the example is NaN or infinite.

    Cost:
        Exporting, 0.1 s to a few seconds; some forward passes.

    Example:
        >>> module = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU())
        >>> from_torch(module, torch.zeros(1, 2)).names()
        ['0', '1', 'output']
    """
    example = _example(module, example_input, batch_axis)
    place = batch_axis % example.ndim
    copies = _copies(module, example, place)
    source = _source(copies, example, place, output)
    source = replace(
        source,
        mean=None if mean is None else torch.as_tensor(mean, dtype=torch.float64),
        std=None if std is None else torch.as_tensor(std, dtype=torch.float64),
        domain=domain,
        samples=_samples(example, place, domain),
        network_dtype=dtype,
        device=torch.device(device),
    )
    return finished(source, copies, check=check)


def _example(module: object, given: object, batch_axis: int) -> Tensor:
    """Return the example with at least two rows.

    Raises:
        AmbiguousModelError: Several arrays are given.
        InvalidArgumentError: It has no rows, or no such axis.
        NotFiniteError: It holds NaN or infinite numbers.
    """
    if isinstance(given, (tuple, list)) and all(isinstance(i, Tensor) for i in given):
        if len(given) != 1:
            names = _argument_names(module, len(given))
            raise AmbiguousModelError("input", names, _SEVERAL_INPUTS)
        given = given[0]
    if isinstance(given, Mapping):
        raise AmbiguousModelError("input", [str(key) for key in given], _SEVERAL_INPUTS)
    example = torch.as_tensor(given).detach().to("cpu")
    if not -example.ndim <= batch_axis < example.ndim or not example.shape[batch_axis]:
        raise InvalidArgumentError(
            f"cannot use the example_input: its shape is {list(example.shape)}, and at"
            f" least 1 row along axis {batch_axis} is needed. Pass x[None], or another"
            " batch_axis."
        )
    if not bool(torch.isfinite(example).all()):
        raise NotFiniteError(
            f"cannot use the example_input: {int((~torch.isfinite(example)).sum())} of"
            f" its {example.numel()} numbers are NaN or infinite. Pass other numbers."
        )
    if example.shape[batch_axis] == 1:
        example = torch.cat([example, example], batch_axis)
    return example


_SEVERAL_INPUTS = (
    "Wrap the module in one whose forward takes the input that varies and fixes the"
    " others."
)


def _argument_names(module: object, count: int) -> list[str]:
    names: list[str] = []
    if isinstance(module, nn.Module):
        names = list(inspect.signature(module.forward).parameters)[:count]
    return names + [f"input {i}" for i in range(len(names), count)]


def _samples(example: Tensor, place: int, domain: Box | None) -> Tensor:
    rows = example.movedim(place, 0)
    shape = tuple(rows.shape[1:])
    samples = sample_inputs(shape, example=rows, domain=domain)
    return samples if example.is_floating_point() else samples.round()


@dataclass(frozen=True, slots=True, eq=False)
class Copies:
    """Prepared copies of a module.

    Attributes:
        own: In the module's own type.
        double: In float64, if the module runs in it.
    """

    own: nn.Module
    double: nn.Module | None

    @property
    def sharpest(self) -> nn.Module:
        """The copy in float64, else that in the module's own type."""
        return self.own if self.double is None else self.double

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of all parameters and buffers by name."""
        tensors = named_tensors(self.own)
        return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def _copies(module: object, example: Tensor, place: int) -> Copies:
    own = prepared_copy(module)
    check_inputs(own)
    kinds = {t.dtype for t in named_tensors(own).values() if t.is_floating_point()}
    if kinds <= {torch.float64}:
        run_example(own, _in_type(example, torch.float64), place)
        return Copies(own, own)
    kind = next(iter(kinds - {torch.float64}))
    run_example(own, _in_type(example, kind), place)
    double = copy.deepcopy(own).double()
    try:
        run_example(double, _in_type(example, torch.float64), place)
    except ModelLoadError:
        # Its forward function fixes another type, so it is read in its own.
        return Copies(own, None)
    return Copies(own, double)


def read_again(source: TorchSource, module: object) -> Copies:
    """Return copies of a module like those that a graph was exported from."""
    own = prepared_copy(module)
    kinds = {t.dtype for t in named_tensors(own).values() if t.is_floating_point()}
    if kinds <= {torch.float64}:
        return Copies(own, own)
    sharp = source.dtype == torch.float64
    return Copies(own, copy.deepcopy(own).double() if sharp else None)


def _in_type(example: Tensor, kind: torch.dtype) -> Tensor:
    return example.to(kind) if example.is_floating_point() else example


def _source(
    copies: Copies, example: Tensor, place: int, output: str | int | None
) -> TorchSource:
    module = copies.sharpest
    weights = named_tensors(module)
    kinds = [t.dtype for t in weights.values() if t.is_floating_point()]
    kind = kinds[0] if kinds else torch.float64
    given = _in_type(example, kind)
    program = exported(module, given, place)
    inputs = read_inputs(program)
    paths = [path for path, _ in module.named_modules(remove_duplicate=False)]
    names = name_nodes(dependent_nodes(inputs.example), paths)
    chosen = choose_output(program, names, output)
    notes = _notes(program)
    if chosen.cut:
        word = tail_names(chosen.cut, names)
        notes.append(f"the output is the logits before {word}, which was cut")
        _LOG.info("the model ends in %s: its logits are the output", word)
    dims = (*example.shape[:place], BatchAxis(), *example.shape[place + 1 :])
    return TorchSource(
        nodes=needed_nodes(chosen.node),
        inputs=inputs,
        names=names,
        output=chosen,
        dims=dims,
        dtype=kind,
        shapes=copies.shapes,
        notes=tuple(notes),
        samples=torch.empty(0),
        example_dtype=example.dtype,
    )


def _notes(program: ExportedProgram) -> list[str]:
    changed = sorted(program.graph_signature.buffers_to_mutate.values())
    if not changed:
        return []
    return [
        f"the module changes its buffers {', '.join(changed)}: the network is its first"
        " call"
    ]


def finished(source: TorchSource, copies: Copies, *, check: bool) -> Network:
    """Return the network of a source with the weights of prepared copies.

    Args:
        source: The exported graph.
        copies: The module's copies.
        check: Whether to compare the network with them.
    """
    weights = {
        name: tensor.detach() for name, tensor in named_tensors(copies.sharpest).items()
    }
    made = assembled(source, weights, _hash(named_tensors(copies.own)))
    if not check:
        return made.network
    return with_agreement(source, made, copies.own, copies.double)


def _hash(weights: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of all weights with their names, types and shapes."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        tensor = weights[name].detach().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
