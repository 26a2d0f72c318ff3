"""One node of an exported graph with its arguments, as rules see it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import torch
from torch import SymInt, Tensor

from relulens.importers.aten.sources import (
    Constant,
    Masked,
    Missing,
    Source,
    Target,
    size_at,
)
from relulens.importers.builder import Builder
from relulens.importers.registry import RefusedError, register
from relulens.importers.values import Value

DOMAIN = "aten"
R = TypeVar("R", bound="Value | Masked | tuple[Source, ...]")


def aten(
    operations: str | Sequence[str], kinds: str | Sequence[str], *, note: str = ""
) -> Callable[[Callable[["Call"], R]], Callable[["Call"], R]]:
    """Register the decorated function as the rule of ATen operations.

    Args:
        operations: ``name`` for all overloads, or ``name.overload``.
        kinds: Node kinds that they become.
        note: What a reader of the table must know.
    """
    return register(DOMAIN, operations, kinds, note=note)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Call:
    """An operation with its arguments by the names of its schema.

    Attributes:
        build: The network under construction.
        name: What the nodes made for it are called.
        operation: The operation's name, such as ``"conv2d"``.
        arguments: Values, constants, numbers and lists of them; defaults included.
        target: Shape of the result.
        rounding: Distance from one to the next number of the result's type.
        function: The operation itself, to evaluate it.
    """

    build: Builder
    name: str
    operation: str
    arguments: Mapping[str, object]
    target: Target
    rounding: float
    function: Callable[..., object]
    positional: tuple[str, ...] = field(default=())

    def operand(self, key: str) -> Value | Tensor:
        """Return a value, or a constant as a tensor.

        Raises:
            RefusedError: The argument is neither, or depends on the batch size.
        """
        return _operand(self.arguments[key], key)

    def operands(self, key: str) -> list[Value | Tensor]:
        """Return a list of values and constants."""
        return [_operand(item, key) for item in _listed(self.arguments[key], key)]

    def value(self, key: str = "self") -> Value:
        """Return an argument that depends on the input.

        Raises:
            RefusedError: It does not.
        """
        found = self.operand(key)
        if not isinstance(found, Value):
            raise RefusedError(f"its {key!r} is constant while another argument is not")
        return found

    def tensor(self, key: str) -> Tensor:
        """Return an argument that does not depend on the input.

        Raises:
            RefusedError: It does.
        """
        found = self.operand(key)
        if isinstance(found, Value):
            raise RefusedError(f"its {key!r} depends on the input")
        return found

    def optional_tensor(self, key: str) -> Tensor | None:
        """Return a constant argument, or nothing if it is not given."""
        return None if self.arguments[key] is None else self.tensor(key)

    def number(self, key: str) -> float:
        """Return a number.

        Raises:
            RefusedError: It is not one fixed number.
        """
        found = self.arguments[key]
        if isinstance(found, (int, float)):
            return found
        if isinstance(found, Constant) and found.one.numel() == 1:
            return float(self.tensor(key))
        raise RefusedError(f"its {key!r} is no fixed number")

    def optional_number(self, key: str) -> float | None:
        """Return a number, or nothing if it is not given."""
        return None if self.arguments[key] is None else self.number(key)

    def integer(self, key: str) -> int:
        """Return a whole number that does not depend on the batch size."""
        return int(self.number(key))

    def integers(self, key: str) -> list[int]:
        """Return whole numbers that do not depend on the batch size.

        Raises:
            RefusedError: One of them is not fixed.
        """
        found = self.arguments[key]
        items = [found] if isinstance(found, int) else _listed(found, key)
        numbers = [item for item in items if isinstance(item, int)]
        if len(numbers) != len(items):
            raise RefusedError(f"its {key!r} depends on the batch size")
        return numbers

    def spread(self, key: str, rank: int) -> tuple[int, ...]:
        """Return one whole number an axis; a single one stands for all."""
        numbers = self.integers(key)
        return tuple(numbers * rank if len(numbers) == 1 else numbers)

    def flag(self, key: str) -> bool:
        """Return a truth value."""
        return bool(self.arguments[key])

    def text(self, key: str) -> str:
        """Return a word."""
        return str(self.arguments[key])

    def values(self) -> list[Value]:
        """Return all arguments that depend on the input, each once."""
        found: list[Value] = []
        for argument in self.arguments.values():
            for item in argument if isinstance(argument, list) else [argument]:
                if isinstance(item, (Masked, Missing)):
                    _operand(item, "arguments")
                if isinstance(item, Value) and item not in found:
                    found.append(item)
        return found

    def evaluated(
        self, batch: int, replace: Callable[[Value | Tensor], Tensor]
    ) -> Tensor:
        """Return the operation's result on other tensors.

        Args:
            batch: Batch size, one or two, for constants and sizes.
            replace: What stands for every value and every constant.
        """

        def plain(argument: object) -> object:
            if isinstance(argument, list):
                return [plain(item) for item in argument]
            if isinstance(argument, Constant):
                return replace(argument.at(batch))
            if isinstance(argument, Value):
                return replace(argument)
            if isinstance(argument, SymInt):
                return size_at(argument, batch)
            return argument

        given = {key: plain(item) for key, item in self.arguments.items()}
        first = [given.pop(key) for key in self.positional]
        with torch.no_grad():
            result = self.function(*first, **given)
        if not isinstance(result, Tensor):
            raise RefusedError("it gives several results")
        return result


def _listed(found: object, key: str) -> list[object]:
    if not isinstance(found, (list, tuple)):
        raise RefusedError(f"its {key!r} is no list")
    return list(found)


def _operand(found: object, key: str) -> Value | Tensor:
    match found:
        case Value():
            return found
        case Constant() if found.steady():
            return found.one
        case Constant():
            raise RefusedError(f"its {key!r} depends on the batch size")
        case bool() | int() | float():
            return torch.tensor(found, dtype=torch.float64)
        case Masked():
            raise RefusedError("minus infinity has a meaning only inside a softmax")
        case Missing(reason=reason) if reason is not None:
            raise RefusedError(reason)
    raise RefusedError(f"its {key!r} depends on the batch size")
