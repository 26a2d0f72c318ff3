"""Gates: comparisons of summary numbers that make a command fail."""

import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from relulens.errors import InvalidArgumentError

_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
}
_FORM = re.compile(r"\s*([A-Za-z_][\w.]*)\s*(<=|>=|==|!=|<|>)\s*(\S+)\s*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """A comparison such as ``accuracy<0.9``; the command fails where it holds.

    Attributes:
        name: Key in the summary; dots reach into its parts.
        comparison: ``<``, ``<=``, ``>``, ``>=``, ``==`` or ``!=``.
        number: What the summary's number is compared with.
    """

    name: str
    comparison: str
    number: float

    def failure(self, numbers: Mapping[str, float | None]) -> str | None:
        """Return why the gate fails on a summary, or nothing if it does not.

        Args:
            numbers: The summary's numbers by dotted name; ``None`` is not computed.

        Raises:
            InvalidArgumentError: The summary has no such number.
        """
        if self.name not in numbers:
            near = get_close_matches(self.name, numbers, n=3, cutoff=0.0)
            raise InvalidArgumentError(
                f"cannot judge --fail-on {self}: {self.name!r} is none of the"
                f" {len(numbers)} numbers of the summary. The nearest are"
                f" {', '.join(near)}."
            )
        value = numbers[self.name]
        if value is None or math.isnan(value):
            return f"{self.name} was not computed, so {self} cannot be ruled out"
        if _COMPARISONS[self.comparison](value, self.number):
            return f"{self.name} is {value:.6g}, and {self} fails"
        return None

    def __str__(self) -> str:
        """Return the comparison as it is written."""
        return f"{self.name}{self.comparison}{self.number:g}"


def parse_gate(text: str) -> Gate:
    """Return the gate that an expression states.

    Raises:
        InvalidArgumentError: It is not a name, a comparison and a number.
    """
    match = _FORM.fullmatch(text)
    number = _number(match[3]) if match else None
    if match is None or number is None:
        raise InvalidArgumentError(
            f"cannot read --fail-on {text!r}: it is not a name, one of"
            f" {' '.join(_COMPARISONS)} and a number. Write it as 'accuracy<0.9'."
        )
    return Gate(name=match[1], comparison=match[2], number=number)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return None if math.isnan(value) else value


def summary_numbers(
    summary: Mapping[str, object], prefix: str = ""
) -> dict[str, float | None]:
    """Return the numbers of a summary by dotted name, parts of parts included."""
    found: dict[str, float | None] = {}
    for key, value in summary.items():
        if isinstance(value, Mapping):
            found |= summary_numbers(value, f"{prefix}{key}.")
        elif value is None or isinstance(value, (int, float)):
            found[prefix + key] = None if value is None else float(value)
    return found
