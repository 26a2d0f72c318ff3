"""The open registry of import rules: one small rule per source operation.

Both importers register here, keyed by domain, operation and the version of the
operation set since which a rule holds. The table of supported operations is made of it.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from relulens.errors import InvalidArgumentError

P = ParamSpec("P")
R = TypeVar("R")


class RefusedError(Exception):
    """A rule cannot take one node; the walk collects all such nodes before it stops.

    Attributes:
        reason: Why, in a few words.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Rule:
    """How one source operation becomes nodes.

    Attributes:
        domain: Source format and operation set, such as ``"aten"`` or ``"ai.onnx"``.
        operation: Name of the operation there.
        since: First version of the operation set for which the rule holds.
        kinds: Node kinds that it becomes.
        note: What a reader of the table must know, or nothing.
        apply: The rule; each importer says what it is called with.
    """

    domain: str
    operation: str
    since: int
    kinds: tuple[str, ...]
    note: str
    apply: Callable[..., object]


_KINDS = ("Affine", "TwoSlope", "Maximum", "Smooth", "Coupled", "constant")
_RULES: dict[tuple[str, str], list[Rule]] = {}


def register(
    domain: str,
    operations: str | Sequence[str],
    kinds: str | Sequence[str],
    *,
    since: int = 1,
    note: str = "",
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Register the decorated function as the rule of some operations.

    Args:
        domain: Source format and operation set.
        operations: Name or names of the operations.
        kinds: Node kinds that they become, or ``"constant"`` for what is folded.
        since: First version of the operation set for which the rule holds.
        note: What a reader of the table must know.

    Returns:
        A decorator that leaves the function as it is.

    Raises:
        InvalidArgumentError: A kind is unknown, or a rule is registered twice.
    """
    names = (operations,) if isinstance(operations, str) else tuple(operations)
    wanted = (kinds,) if isinstance(kinds, str) else tuple(kinds)
    if not set(wanted) <= set(_KINDS):
        raise InvalidArgumentError(
            f"cannot register {names}: the kinds {wanted} are not all among the"
            f" {len(_KINDS)} there are. Use {', '.join(_KINDS)}."
        )

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        for name in names:
            _insert(
                Rule(
                    domain=domain,
                    operation=name,
                    since=since,
                    kinds=wanted,
                    note=note,
                    apply=function,
                )
            )
        return function

    return decorate


def _insert(rule: Rule) -> None:
    versions = _RULES.setdefault((rule.domain, rule.operation), [])
    if any(other.since == rule.since for other in versions):
        raise InvalidArgumentError(
            f"cannot register {rule.domain}.{rule.operation}: 1 rule since version"
            f" {rule.since} is there already. Remove one of the two."
        )
    versions.append(rule)
    versions.sort(key=lambda item: item.since)


def find(domain: str, operation: str, version: int | None = None) -> Rule | None:
    """Return the newest rule that holds for a version, or nothing.

    Args:
        domain: Source format and operation set.
        operation: Name of the operation.
        version: Version of the operation set; the newest by default.
    """
    fitting = [
        rule
        for rule in _RULES.get((domain, operation), ())
        if version is None or rule.since <= version
    ]
    return fitting[-1] if fitting else None


def rules(domain: str | None = None) -> list[Rule]:
    """Return all rules of a domain, or of all, by operation and version."""
    found = [
        rule
        for versions in _RULES.values()
        for rule in versions
        if domain in (None, rule.domain)
    ]
    return sorted(
        found, key=lambda rule: (rule.domain, rule.operation.lower(), rule.since)
    )


def operations_table(chosen: Iterable[Rule]) -> str:
    """Return rules as a Markdown table: operation, what it becomes, note."""
    lines = ["| operation | becomes | note |", "|---|---|---|"]
    for rule in chosen:
        version = f" (since {rule.since})" if rule.since > 1 else ""
        kinds = ", ".join(rule.kinds)
        lines.append(f"| `{rule.operation}`{version} | {kinds} | {rule.note} |")
    return "\n".join(lines) + "\n"
