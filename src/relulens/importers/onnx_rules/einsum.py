"""Products and sums in index notation."""

import math
from collections.abc import Sequence

import torch

from relulens.importers.onnx_model.step import Step
from relulens.importers.operations import arithmetic, reductions, shapes
from relulens.importers.operations.arithmetic import Operand
from relulens.importers.registry import RefusedError, register
from relulens.importers.values import Dim, Value

ONNX = "ai.onnx"


@register(ONNX, "Einsum", ("Affine", "Coupled"), since=12, note="one or two operands")
def einsum(step: Step) -> Value:
    """Import an index expression of one or two operands."""
    given, wanted = _parsed(step)
    if len(given) == 1:
        return _arranged_value(step, step.value(), given[0], wanted)
    first, second = (step.operand(place) for place in (0, 1))
    return _product(step, (first, given[0]), (second, given[1]), wanted)


def _parsed(step: Step) -> tuple[list[str], str]:
    """Return the labels of the operands and of the result."""
    equation = step.text("equation", "").replace(" ", "")
    left, arrow, right = equation.partition("->")
    given = left.split(",")
    every = "".join(given)
    if not arrow:
        right = "".join(
            sorted(label for label in set(every) if every.count(label) == 1)
        )
    repeated = any(len(set(labels)) != len(labels) for labels in (*given, right))
    if "." in equation or repeated or len(given) > 2 or not set(right) <= set(every):
        raise RefusedError(f"its equation is {equation!r}")
    return given, right


def _arranged_value(step: Step, x: Value, labels: str, order: str) -> Value:
    """Sum over the labels that are not in the order, and put the others into it."""
    gone = [place for place, label in enumerate(labels) if label not in order]
    if gone:
        x = reductions.sum_over(step.build, f"{step.name}.sum", x, gone, False)
    kept = [label for label in labels if label in order]
    places = [kept.index(label) for label in order]
    return shapes.permute(step.build, f"{step.name}.order", x, places)


def _arranged(step: Step, operand: Operand, labels: str, order: str) -> Operand:
    if isinstance(operand, Value):
        return _arranged_value(step, operand, labels, order)
    numbers = torch.as_tensor(operand)
    gone = [place for place, label in enumerate(labels) if label not in order]
    numbers = numbers.sum(gone) if gone else numbers
    kept = [label for label in labels if label in order]
    return numbers.permute([kept.index(label) for label in order])


def _product(
    step: Step, first: tuple[Operand, str], second: tuple[Operand, str], wanted: str
) -> Value:
    """Write the expression as one product of stacks of matrices."""
    (a, left), (b, right) = first, second
    both = [label for label in left if label in right]
    stack = "".join(label for label in both if label in wanted)
    inner = "".join(label for label in both if label not in wanted)
    rows = "".join(label for label in wanted if label in left and label not in both)
    columns = "".join(label for label in wanted if label in right and label not in both)
    if not isinstance(a, Value) and not stack:
        return _product(step, second, first, wanted)
    a = _arranged(step, a, left, stack + rows + inner)
    b = _arranged(step, b, right, stack + inner + columns)
    count = len(stack)
    row_dims = _dims(a)[count : count + len(rows)]
    column_dims = _dims(b)[count + len(inner) :]
    a = _merged(step, a, count + len(rows), len(inner))
    if isinstance(b, Value) or stack:
        a = _merged(step, a, count, len(rows))
    b = _merged(
        step, _merged(step, b, count + len(inner), len(columns)), count, len(inner)
    )
    product = arithmetic.matmul(step.build, f"{step.name}.product", a, b)
    dims = (*product.dims[:count], *row_dims, *column_dims)
    split = shapes.reshape(step.build, f"{step.name}.axes", product, dims)
    places = [(stack + rows + columns).index(label) for label in wanted]
    return shapes.permute(step.build, step.name, split, places)


def _dims(operand: Operand) -> Sequence[Dim]:
    if isinstance(operand, Value):
        return operand.dims
    return tuple(torch.as_tensor(operand).shape)


def _merged(step: Step, operand: Operand, start: int, count: int) -> Operand:
    """Merge ``count`` axes from ``start`` on to one, a new one for none."""
    if isinstance(operand, Value):
        name = f"{step.name}.merged"
        if count == 0:
            return shapes.unsqueeze(step.build, name, operand, [start])
        return shapes.flatten(step.build, name, operand, start, start + count - 1)
    numbers = torch.as_tensor(operand)
    sizes = numbers.shape
    length = math.prod(sizes[start : start + count])
    return numbers.reshape(*sizes[:start], length, *sizes[start + count :])
