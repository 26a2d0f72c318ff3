"""A pre-image question with its arguments checked."""

from dataclasses import dataclass

import torch

from relulens.certificates.statement import Limits, Scope
from relulens.certificates.target import Target, target_of
from relulens.graph.convert import converted
from relulens.graph.network import Network
from relulens.graph.tolerances import Tolerances
from relulens.preimage.domain import Variable, limits_of, variable_of


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Question:
    """A pre-image question, the arguments checked.

    Attributes:
        network: The network, float64, on the processor.
        target: The layer.
        scope: What the pre-image lives in.
        variable: Likewise, in words and numbers.
        limits: What the variable is known to satisfy.
        whole: Whether all pieces of a union are asked for.
        tolerance: An argument is zero to rounding below it, relative to its terms.
    """

    network: Network
    target: Target
    scope: Scope
    variable: Variable
    limits: Limits | None
    whole: bool
    tolerance: float

    @property
    def finite(self) -> bool:
        """Whether a finite box bounds the variable."""
        return self.limits is not None and self.limits.finite


def question(
    network: Network,
    layer: int | str,
    scope: str | None,
    domain: object,
    tol: Tolerances,
) -> Question:
    """Return the question that the arguments ask.

    Raises:
        UnknownNameError: No layer has this name.
        NotPolyhedralError: The layer, or one before it on a region, is curved.
        InvalidArgumentError: The scope or the domain does not fit.
    """
    exact = converted(network, torch.float64, torch.device("cpu"))
    target = target_of(exact, layer)
    chosen, variable = variable_of(exact, target, scope)
    narrowed: Scope = "layer" if chosen == "layer" else "region"
    return Question(
        network=exact,
        target=target,
        scope=narrowed,
        variable=variable,
        limits=limits_of(exact, variable, domain),
        whole=chosen == "network",
        tolerance=tol.sign,
    )
