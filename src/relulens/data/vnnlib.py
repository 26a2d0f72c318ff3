"""Read property files in the vnnlib format."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import TypeAlias

import numpy as np

from relulens.data.linear_terms import Linear, Tree, atoms_of, linear
from relulens.errors import DataError, PropertyError
from relulens.graph.property import Property, PropertyCase

CASES = 100_000
Conjunction: TypeAlias = tuple[Linear, ...]
_TOKEN = re.compile(r"\(|\)|[^\s()]+")
_VARIABLE = re.compile(r"([XY])_(\d+)")


def read_property(path: str | Path, /) -> Property:
    """Return the property of a vnnlib file.

    Such a file describes a counterexample: constants ``X_i`` and ``Y_j``, and asserted
    inequalities ``<=`` and ``>=`` between linear terms of them, joined by ``and`` and
    ``or``. Here every inequality of inputs is about one input, so that inputs form
    boxes, and none mixes inputs with outputs.

    Args:
        path: The file.

    Returns:
        One case a conjunction, once all alternatives are multiplied out.

    Raises:
        DataError: The file cannot be read.
        PropertyError: The file has a construct outside this, named with its line; an
            input has no bound; or there are more than 100,000 cases.
    """
    text = _text(Path(path))
    reader = _Reader(source=str(path))
    for line, tree in _trees(text, str(path)):
        reader.take(line, tree)
    return reader.finish()


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise DataError(
            f"cannot read the property {path}: {error.strerror}. Pass a vnnlib file."
        ) from error
    except UnicodeDecodeError as error:
        raise DataError(
            f"cannot read the property {path}: byte {error.start} is no text. Pass a"
            " vnnlib file that is not compressed."
        ) from error


def _tokens(text: str) -> Iterator[tuple[int, str]]:
    for line, raw in enumerate(text.splitlines(), 1):
        for token in _TOKEN.findall(raw.split(";")[0]):
            yield line, token


def _trees(text: str, source: str) -> Iterator[tuple[int, Tree]]:
    """Return every statement with the line that it starts on."""
    stack: list[list[Tree]] = []
    start = 0
    for line, token in _tokens(text):
        if not stack and token != "(":
            raise PropertyError(source, line, token, "stands outside a statement")
        if token == "(":
            start = start if stack else line
            stack.append([])
        elif token != ")":
            stack[-1].append(token)
        else:
            done = tuple(stack.pop())
            if not stack:
                yield start, done
            else:
                stack[-1].append(done)
    if stack:
        raise PropertyError(source, start, "(", "is never closed")


@dataclass(slots=True)
class _Reader:
    """The declarations and assertions of a file so far."""

    source: str
    names: dict[str, tuple[str, int]] = field(default_factory=dict)
    asserted: list[list[Conjunction]] = field(default_factory=list)

    def take(self, line: int, tree: Tree) -> None:
        """Take one statement.

        Raises:
            PropertyError: It is none that is supported.
        """
        match tree:
            case ("declare-const", str(name), "Real") | (
                "declare-fun",
                str(name),
                (),
                "Real",
            ):
                self._declare(line, name)
            case ("assert", formula):
                self.asserted.append(self._cases(line, formula))
            case ("set-logic" | "set-info" | "check-sat" | "exit", *_):
                pass
            case _:
                raise PropertyError(self.source, line, _words(tree), "is not supported")

    def _declare(self, line: int, name: str) -> None:
        found = _VARIABLE.fullmatch(name)
        if found is None:
            why = "is no X_i or Y_j"
            raise PropertyError(self.source, line, name, why)
        self.names[name] = (found[1], int(found[2]))

    def _cases(self, line: int, formula: Tree) -> list[Conjunction]:
        """Return the alternatives of a formula.

        Raises:
            PropertyError: A part of it is not supported, or it has too many cases.
        """
        match formula:
            case ("and", *parts):
                return self._joined([self._cases(line, part) for part in parts], line)
            case ("or", *parts):
                return [case for part in parts for case in self._cases(line, part)]
            case ("<=" | ">=" as sign, left, right):
                sides = (left, right) if sign == "<=" else (right, left)
                first, second = (self._linear(line, side) for side in sides)
                return [(first.minus(second),)]
            case _:
                words = _words(formula)
                raise PropertyError(self.source, line, words, "is not supported")

    def _linear(self, line: int, tree: Tree) -> Linear:
        found = linear(tree)
        if isinstance(found, str):
            raise PropertyError(self.source, line, _words(tree), found)
        unknown = sorted(found.weights.keys() - self.names.keys())
        if unknown:
            raise PropertyError(self.source, line, unknown[0], "was not declared")
        return found

    def _joined(
        self, parts: Sequence[list[Conjunction]], line: int
    ) -> list[Conjunction]:
        count = 1
        for part in parts:
            count *= len(part)
            if count > CASES:
                why = f"makes more than {CASES:,} cases"
                raise PropertyError(self.source, line, "and", why)
        return [
            tuple(atom for case in chosen for atom in case)
            for chosen in product(*parts)
        ]

    def finish(self) -> Property:
        """Return the property.

        Raises:
            PropertyError: There are no inputs or outputs, or an input has no bound.
        """
        sizes = []
        for letter in "XY":
            places = sorted(i for kind, i in self.names.values() if kind == letter)
            if not places or places != list(range(len(places))):
                why = "are not declared from 0 on without a gap"
                raise PropertyError(self.source, 0, f"{letter}_i", why)
            sizes.append(len(places))
        cases = self._joined(self.asserted, 0)
        made = (self._case(case, *sizes) for case in cases)
        return Property(
            cases=tuple(case for case in made if case is not None),
            inputs=sizes[0],
            outputs=sizes[1],
            source=self.source,
        )

    def _case(self, case: Conjunction, p: int, q: int) -> PropertyCase | None:
        """Return one case, or nothing if nothing satisfies its constants or box."""
        low, high = np.full(p, -np.inf), np.full(p, np.inf)
        rows: list[np.ndarray] = []
        right: list[float] = []
        for atom in case:
            kinds = "".join(sorted({self.names[name][0] for name in atom.weights}))
            if kinds == "X" and len(atom.weights) == 1:
                ((name, weight),) = atom.weights.items()
                end, place = float(-atom.constant / weight), self.names[name][1]
                side, pick = (high, min) if weight > 0 else (low, max)
                side[place] = pick(side[place], end)
            elif kinds == "Y":
                row = np.zeros(q)
                for name, weight in atom.weights.items():
                    row[self.names[name][1]] = float(weight)
                rows.append(row)
                right.append(float(-atom.constant))
            elif kinds:
                what = " ".join(sorted(atom.weights))
                why = "are in one inequality; inputs must be bounded one by one"
                raise PropertyError(self.source, 0, what, why)
        if (low > high).any() or any(a.constant > 0 and not a.weights for a in case):
            return None
        bounded = np.isfinite(low) & np.isfinite(high)
        if not bounded.all():
            open_ = f"X_{int(np.argmin(bounded))}"
            raise PropertyError(self.source, 0, open_, "has no finite bounds")
        table = np.array(rows).reshape(-1, q)
        return PropertyCase(low=low, high=high, rows=table, right=np.array(right))


def _words(tree: Tree) -> str:
    text = atoms_of(tree)
    return text if len(text) <= 60 else f"{text[:57]}..."
