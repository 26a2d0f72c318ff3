"""Linear terms of a property file, in exact rationals."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

Tree: TypeAlias = "str | tuple[Tree, ...]"


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Linear:
    """``sum of weights times variables, plus constant``.

    As an inequality it says that this is at most zero.

    Attributes:
        weights: Nonzero weights by the variable's name.
        constant: The constant part.
    """

    weights: Mapping[str, Fraction]
    constant: Fraction

    def plus(self, other: "Linear") -> "Linear":
        """Return the sum."""
        names = {**self.weights, **other.weights}
        total = {
            name: self.weights.get(name, Fraction(0)) + other.weights.get(name, 0)
            for name in names
        }
        kept = {name: weight for name, weight in total.items() if weight}
        return Linear(weights=kept, constant=self.constant + other.constant)

    def times(self, factor: Fraction) -> "Linear":
        """Return a multiple."""
        weights = {name: factor * weight for name, weight in self.weights.items()}
        kept = {name: weight for name, weight in weights.items() if weight}
        return Linear(weights=kept, constant=factor * self.constant)

    def minus(self, other: "Linear") -> "Linear":
        """Return the difference."""
        return self.plus(other.times(Fraction(-1)))


def linear(tree: Tree) -> Linear | str:
    """Return a linear term, or why it is none."""
    if isinstance(tree, str):
        return _leaf(tree)
    match tree:
        case ("+" | "-" | "*" as sign, *parts) if parts:
            made = [linear(part) for part in parts]
            wrong = [part for part in made if isinstance(part, str)]
            if wrong:
                return wrong[0]
            return _combined(sign, [p for p in made if isinstance(p, Linear)])
        case _:
            return "is no linear term"


def _leaf(text: str) -> Linear:
    try:
        return Linear(weights={}, constant=Fraction(text))
    except ValueError:
        return Linear(weights={text: Fraction(1)}, constant=Fraction(0))


def _combined(sign: str, parts: list[Linear]) -> Linear | str:
    total = parts[0]
    if sign == "-" and len(parts) == 1:
        return total.times(Fraction(-1))
    for part in parts[1:]:
        if sign == "+":
            total = total.plus(part)
        elif sign == "-":
            total = total.minus(part)
        elif not part.weights:
            total = total.times(part.constant)
        elif not total.weights:
            total = part.times(total.constant)
        else:
            return "multiplies variables"
    return total


def atoms_of(tree: Tree) -> str:
    """Return a tree as it stands in a file."""
    if isinstance(tree, str):
        return tree
    return f"({' '.join(atoms_of(part) for part in tree)})"
