"""Every error that relulens raises on purpose."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches


class RelulensError(Exception):
    """Base class: catch this to catch everything that relulens refuses."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class OffendingNode:
    """A node of a source model that an import or a question cannot take.

    Attributes:
        name: The node's name in the source model.
        operation: The operation's name in the source format, such as ``"Sin"``.
        reason: Why it is refused, in a few words.
    """

    name: str
    operation: str
    reason: str


def _listed(nodes: Sequence[OffendingNode]) -> str:
    return "; ".join(f"{n.operation} at {n.name!r} ({n.reason})" for n in nodes)


class UnsupportedOperationError(RelulensError):
    """Operations of the source model have no rule; all of them are named.

    Attributes:
        nodes: Every offending node.
        partial: The network as far as it was imported, for ``describe``, or nothing.
    """

    def __init__(
        self, nodes: Sequence[OffendingNode], partial: object | None = None
    ) -> None:
        super().__init__(
            f"cannot import the model: {len(nodes)} of its nodes have no rule:"
            f" {_listed(nodes)}. See the table of supported operations, or cut the"
            " model before them with output=NAME."
        )
        self.nodes, self.partial = tuple(nodes), partial


class NotPolyhedralError(RelulensError):
    """An exact polyhedral question met nodes that are not piecewise affine.

    Attributes:
        nodes: Every offending node among the ancestors of the node asked about.
    """

    def __init__(self, question: str, nodes: Sequence[OffendingNode]) -> None:
        super().__init__(
            f"cannot answer {question}: {len(nodes)} of the nodes it depends on are not"
            f" piecewise affine: {_listed(nodes)}. Ask about an earlier layer, put a"
            " piecewise-affine kind in their place (relu for gelu, a clamp for tanh),"
            " or use local_affine_map and singular_values, which take every kind."
        )
        self.nodes = tuple(nodes)


class UnboundedError(RelulensError):
    """Nodes have no finite gain or image where one is needed.

    Attributes:
        nodes: Every offending node.
    """

    def __init__(self, question: str, nodes: Sequence[OffendingNode]) -> None:
        super().__init__(
            f"cannot bound {question}: {len(nodes)} of its nodes have no finite bound:"
            f" {_listed(nodes)}. Ask about a smaller box, or about an earlier layer."
        )
        self.nodes = tuple(nodes)


class ModelLoadError(RelulensError):
    """A model file or module cannot be read as asked."""


class UnsafeModelError(ModelLoadError):
    """A model file can run code when it is opened."""


class AmbiguousModelError(ModelLoadError):
    """A model has several inputs or outputs, and none was chosen.

    Attributes:
        names: The names to choose from.
    """

    def __init__(self, what: str, names: Sequence[str], advice: str) -> None:
        super().__init__(
            f"cannot import the model: it has {len(names)} {what}s"
            f" ({', '.join(names)}), and a network here has one. {advice}"
        )
        self.names = tuple(names)


class ImportMismatchError(RelulensError):
    """The imported network and its source disagree on a sample input.

    Attributes:
        difference: Largest difference of an output, relative to the largest output.
        tolerance: The largest that is accepted.
    """

    def __init__(self, source: str, difference: float, tolerance: float) -> None:
        super().__init__(
            f"cannot accept the import: its outputs differ from {source} by"
            f" {difference:.3g} relative, and {tolerance:.3g} is the most that is"
            " accepted. Please report this model; check=False imports it all the same."
        )
        self.difference, self.tolerance = difference, tolerance


class ShapeError(RelulensError):
    """An array has another shape than the network needs.

    Attributes:
        found: The shape given.
        wanted: The shape needed, without the batch axis.
    """

    def __init__(
        self, subject: str, found: Sequence[int], wanted: Sequence[int], advice: str
    ) -> None:
        super().__init__(
            f"cannot use {subject}: its shape is {list(found)}, and"
            f" [N, {', '.join(map(str, wanted))}] is needed. {advice}"
        )
        self.found, self.wanted = tuple(found), tuple(wanted)


class UnknownNameError(RelulensError):
    """No layer or cut point has this name.

    Attributes:
        name: The name asked for.
        nearest: The three most similar names there are.
    """

    def __init__(self, name: str, names: Sequence[str]) -> None:
        nearest = get_close_matches(name, names, n=3, cutoff=0.0)
        super().__init__(
            f"cannot find layer {name!r}: none of the {len(names)} names is it. The"
            f" nearest are {', '.join(map(repr, nearest))}; network.names() lists all."
        )
        self.name, self.nearest = name, tuple(nearest)


class InvalidArgumentError(RelulensError, ValueError):
    """An argument is outside what the function can take."""


class NotFiniteError(RelulensError):
    """NaN or infinite numbers stand where finite ones are needed."""


class MemoryLimitError(RelulensError):
    """A dense array would be larger than the limit.

    Attributes:
        needed: Bytes it would take.
        limit: Bytes allowed.
    """

    def __init__(self, subject: str, needed: int, limit: int, advice: str) -> None:
        super().__init__(
            f"cannot make {subject}: it would take {needed:,} bytes, and the limit is"
            f" {limit:,}. {advice}"
        )
        self.needed, self.limit = needed, limit


class DataError(RelulensError):
    """A data set cannot be read or does not fit the network."""


class OutputFolderError(RelulensError):
    """The output folder cannot be used."""


class SolverError(RelulensError):
    """A solver stopped without a usable answer."""


class CertificateError(RelulensError):
    """A certificate file is damaged, of another version, or about other weights."""


class NotWellPosedError(RelulensError):
    """A model with loops is not certified to have one equilibrium for every input.

    Attributes:
        radius: Perron-Frobenius eigenvalue, or a bound on it, that should be below one.
        verdict: ``"not well-posed"`` or ``"undecided"``.
        bracket: Both bounds on the eigenvalue, where both are known.
    """

    def __init__(
        self,
        question: str,
        radius: float,
        advice: str,
        *,
        verdict: str = "undecided",
        bracket: tuple[float, float] | None = None,
    ) -> None:
        super().__init__(
            f"cannot {question}: its loops may carry a change {radius:.4g} times as far"
            f" in every turn, and less than 1 is needed. {advice}"
        )
        self.radius, self.verdict, self.bracket = radius, verdict, bracket


class NotConvergedError(RelulensError):
    """A solver used up its turns before the error asked for was certified.

    Attributes:
        reached: Largest certified error bound over the inputs, possibly infinite.
        wanted: The error asked for.
        turns: How many turns were made.
    """

    def __init__(
        self,
        method: str,
        reached: float,
        wanted: float,
        turns: int,
        advice: str = "Allow more turns, a larger error, or another method.",
    ) -> None:
        super().__init__(
            f"cannot solve for the equilibrium to {wanted:.3g}: after {turns} turns of"
            f" {method} the certified error is {reached:.3g}. {advice}"
        )
        self.reached, self.wanted, self.turns = reached, wanted, turns


class PropertyError(DataError):
    """A property file has a construct that is not supported.

    Attributes:
        source: The file.
        line: Its line, or 0 where the whole file is meant.
        construct: What is not supported.
    """

    def __init__(self, source: str, line: int, construct: str, why: str) -> None:
        where = f"line {line}: " if line else ""
        super().__init__(
            f"cannot read the property {source}: {where}{construct!r} {why}. A box of"
            " inputs and linear conditions on outputs, joined by 'and' and 'or', are"
            " supported; rewrite it so."
        )
        self.source, self.line, self.construct = source, line, construct
