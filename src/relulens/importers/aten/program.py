"""Export a module to a graph with a dynamic batch, decomposed until rules are found."""

import inspect
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram, ShapesCollection
from torch.export.decomp_utils import CustomDecompTable
from torch.fx import Node as GraphNode

from relulens.errors import AmbiguousModelError, ModelLoadError
from relulens.importers.aten.walk import find_operation, find_rule

# What a module's own code, or torch.export on it, may raise.
FAILURES = (
    RuntimeError,
    ValueError,
    TypeError,
    IndexError,
    KeyError,
    AttributeError,
    AssertionError,
)


@contextmanager
def quiet() -> Iterator[None]:
    """Export without fused attention, gradients and torch's warnings about itself."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


def check_inputs(module: nn.Module) -> None:
    """Refuse a module that needs several inputs.

    Raises:
        AmbiguousModelError: Its forward function has several arguments without default.
    """
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = inspect.signature(module.forward).parameters.values()
    needed = [p.name for p in parameters if p.default is p.empty and p.kind in kinds]
    if len(needed) > 1:
        raise AmbiguousModelError(
            "input",
            needed,
            "Wrap the module in one whose forward takes the one that varies and fixes"
            " the others.",
        )


def run_example(module: nn.Module, example: Tensor, batch_axis: int) -> object:
    """Return the module's outputs on the example.

    Raises:
        ModelLoadError: The module fails on it.
    """
    try:
        with quiet():
            return module(example)
    except FAILURES as error:
        raise ModelLoadError(
            f"cannot run the model on an example of shape {list(example.shape)} with"
            f" the batch on axis {batch_axis}: {_first_line(error)}. Pass an"
            " example_input with a batch axis, such as x[None], and its batch_axis."
        ) from error


def exported(module: nn.Module, example: Tensor, batch_axis: int) -> ExportedProgram:
    """Return the module's graph for any batch size.

    Operations with a rule are kept, all others decomposed; operations that write into
    their argument are replaced by ones that do not.

    Args:
        module: A prepared copy.
        example: An input of at least two rows.
        batch_axis: Its batch axis.

    Raises:
        ModelLoadError: The module cannot be exported with a dynamic batch.
    """
    shapes = ShapesCollection()
    shapes[example] = {batch_axis: Dim("batch")}
    try:
        with quiet():
            sizes = shapes.dynamic_shapes(module, (example,))
            program = torch.export.export(
                module, (example,), dynamic_shapes=sizes, strict=False
            )
            if any(_needs_decomposition(node) for node in program.graph.nodes):
                program = program.run_decompositions(_decompositions())
    except FAILURES as error:
        raise ModelLoadError(
            f"cannot export the model with a batch of any size: {_fact(error)}. Replace"
            " control flow on values, and fixed batch sizes in view or reshape, by"
            " x.shape[0] or -1; if the example has no batch axis, pass x[None]."
        ) from error
    return program


def _fact(error: BaseException) -> str:
    """Return what torch.export found, in a few words."""
    fixed = re.search(r"specialized it to be a constant \((\d+)\)", str(error))
    if fixed:
        return f"its code fixes the batch to the {fixed[1]} rows of the example"
    if "data-dependent" in str(error):
        return "its control flow depends on values"
    return _first_line(error)


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__).rstrip(".")


def _needs_decomposition(node: GraphNode) -> bool:
    target = node.target
    if not isinstance(target, torch._ops.OpOverload):
        return False
    if target._schema.is_mutable:
        # Constants made in forward are detached in place, which changes nothing.
        return target is not torch.ops.aten.detach_.default
    is_array = isinstance(node.meta.get("val"), (Tensor, tuple, list))
    return is_array and find_rule(node) is None


def _decompositions() -> CustomDecompTable:
    """Return torch's decompositions without those of operations that have a rule."""
    table = torch.export.default_decompositions()
    from_rules: Sequence[torch._ops.OperatorBase] = [
        operation
        for operation in table
        if isinstance(operation, torch._ops.OpOverload) and find_operation(operation)
    ]
    for operation in from_rules:
        del table[operation]
    return table


def dependent_nodes(example: GraphNode) -> list[GraphNode]:
    """Return the operations on arrays that depend on a placeholder, in order."""
    reached = {example}
    found: list[GraphNode] = []
    for node in example.graph.nodes:
        is_array = isinstance(node.meta.get("val"), (Tensor, tuple, list))
        reads = not reached.isdisjoint(node.all_input_nodes)
        if node.op == "call_function" and reads and is_array:
            reached.add(node)
            found.append(node)
    return found
