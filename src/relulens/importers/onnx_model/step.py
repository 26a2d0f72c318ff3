"""One ONNX node as the rules see it: its arguments and attributes, checked."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from relulens.errors import NotFiniteError
from relulens.importers.builder import Builder
from relulens.importers.onnx_model.symbols import (
    Entry,
    Masked,
    Multiple,
    PerSample,
    for_one,
    is_symbolic,
)
from relulens.importers.operations.arithmetic import Operand
from relulens.importers.registry import RefusedError
from relulens.importers.values import Value


@dataclass(slots=True, eq=False, kw_only=True)
class Step:
    """A node at work.

    Attributes:
        build: The builder.
        name: The node's name, or its first output's.
        operation: Its operation.
        version: Version of the operation set.
        inputs: What its inputs stand for, nothing for those left out.
        input_names: Their names.
        outputs: Whether anything may read each of its outputs.
        attributes: Its attributes as Python values and arrays.
        fixed: Whether the file fixes the batch to one input.
    """

    build: Builder
    name: str
    operation: str
    version: int
    inputs: Sequence[Entry | None]
    input_names: Sequence[str]
    outputs: Sequence[bool]
    attributes: dict[str, object]
    fixed: bool = False

    def entry(self, place: int) -> Entry | None:
        """Return what an input stands for, nothing if it is left out."""
        return self.inputs[place] if place < len(self.inputs) else None

    def has(self, place: int) -> bool:
        """Tell whether an input is given."""
        return self.entry(place) is not None

    def value(self, place: int = 0) -> Value:
        """Return an input that depends on the network's input.

        Raises:
            RefusedError: It is constant or masked.
        """
        entry = self.entry(place)
        if isinstance(entry, Value):
            return entry
        if isinstance(entry, Masked):
            raise RefusedError("minus infinities may only be added before a softmax")
        raise RefusedError(f"its input {place} is constant and another one is not")

    def array(self, place: int) -> np.ndarray:
        """Return a constant input for a batch of one, infinities allowed.

        Raises:
            RefusedError: It depends on the network's input, or is left out.
        """
        entry = self.entry(place)
        if entry is None:
            raise RefusedError(f"its input {place} is missing")
        if not isinstance(entry, (np.ndarray, PerSample)):
            raise RefusedError(f"its input {place} depends on the network's input")
        return for_one(entry)

    def constant(self, place: int) -> Tensor:
        """Return a constant input as a finite float64 tensor.

        Raises:
            RefusedError: It depends on the network's input, or is left out.
            NotFiniteError: It holds NaN or infinite numbers.
        """
        return self.finite(self.array(place), place)

    def optional(self, place: int) -> Tensor | None:
        """Return a constant input as a tensor, nothing if it is left out."""
        return self.constant(place) if self.has(place) else None

    def finite(self, array: np.ndarray, place: int) -> Tensor:
        """Return an array as a float64 tensor.

        Raises:
            NotFiniteError: It holds NaN or infinite numbers.
        """
        numbers = torch.from_numpy(np.array(array, dtype=np.float64))
        if not bool(torch.isfinite(numbers).all()):
            bad = int((~torch.isfinite(numbers)).sum())
            raise NotFiniteError(
                f"cannot import {self.name!r}: {bad} of the {numbers.numel()} numbers"
                f" of {self.input_names[place]!r} are NaN or infinite. Train or export"
                " the model again."
            )
        return numbers

    def operand(self, place: int) -> Operand:
        """Return an input as a value or a finite constant."""
        entry = self.entry(place)
        if isinstance(entry, (Value, Masked)):
            return self.value(place)
        return self.constant(place)

    def entries(self, place: int) -> list[int | Multiple]:
        """Return a constant list of whole numbers, multiples of N included."""
        entry = self.entry(place)
        if is_symbolic(entry) and isinstance(entry, np.ndarray):
            return [e if isinstance(e, Multiple) else int(e) for e in entry.reshape(-1)]
        return [int(number) for number in self.array(place).reshape(-1)]

    def wholes(self, place: int) -> list[int]:
        """Return a constant list of whole numbers.

        Raises:
            RefusedError: One of them depends on the batch size.
        """
        numbers = self.entries(place)
        if any(isinstance(number, Multiple) for number in numbers):
            raise RefusedError(f"its input {place} depends on the batch size")
        return [number for number in numbers if isinstance(number, int)]

    def integer(self, name: str, default: int) -> int:
        """Return a whole-number attribute."""
        found = self.attributes.get(name, default)
        if not isinstance(found, int):
            raise self._malformed(name)
        return found

    def number(self, name: str, default: float) -> float:
        """Return a number attribute; attributes are of single precision in the file."""
        found = self.attributes.get(name, float(np.float32(default)))
        if not isinstance(found, (int, float)):
            raise self._malformed(name)
        return float(found)

    def text(self, name: str, default: str) -> str:
        """Return a text attribute."""
        found = self.attributes.get(name, default)
        if not isinstance(found, str):
            raise self._malformed(name)
        return found

    def integers(self, name: str) -> list[int] | None:
        """Return an attribute that is a list of whole numbers, nothing if absent."""
        found = self.attributes.get(name)
        if found is None:
            return None
        if not isinstance(found, list):
            raise self._malformed(name)
        return [int(number) for number in found]

    def numbers(self, name: str) -> list[float] | None:
        """Return an attribute that is a list of numbers, nothing if absent."""
        found = self.attributes.get(name)
        if found is None:
            return None
        if not isinstance(found, list):
            raise self._malformed(name)
        return [float(number) for number in found]

    def listed(self, name: str, place: int) -> list[int] | None:
        """Return whole numbers given as an attribute or, in newer files, an input."""
        if self.has(place):
            return self.wholes(place)
        return self.integers(name)

    def only_first_output(self, what: str) -> None:
        """Refuse a node of which anything but the first output is read.

        Raises:
            RefusedError: Another output is read.
        """
        if any(self.outputs[1:]):
            raise RefusedError(what)

    def _malformed(self, name: str) -> RefusedError:
        found = self.attributes.get(name)
        return RefusedError(f"its attribute {name} is {found!r}")
