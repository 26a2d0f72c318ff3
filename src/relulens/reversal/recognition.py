"""The feed-forward direction: hidden layers recovered from observed ones."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from relulens.errors import InvalidArgumentError
from relulens.reversal.generative import GenerativeModel, check_keep, generator
from relulens.reversal.prediction import default_delta

THRESHOLDS = ("linear", "soft", "hard", "debiased")


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Recognition:
    """Hidden layers recovered from observed ones.

    Attributes:
        hidden: The recovered layer [N, m].
        linear: ``W^T x`` before offset and threshold [N, m].
        offset: What was subtracted or compared with [N].
        empty: Whether the offset exceeds every entry, so that nothing is left [N].
        solved: Whether the refit on the support was well determined [N]; true for the
            other thresholds.
    """

    hidden: Float[Tensor, "batch m"]
    linear: Float[Tensor, "batch m"]
    offset: Float[Tensor, " batch"]
    empty: Bool[Tensor, " batch"]
    solved: Bool[Tensor, " batch"]


def recognise(
    model: GenerativeModel,
    x: Float[Tensor, "batch n"],
    /,
    *,
    layer: int = 0,
    threshold: str = "soft",
    norm: Float[Tensor, " batch"] | None = None,
    delta: float | None = None,
    recognition_keep: float = 1.0,
    seed: int = 0,
) -> Recognition:
    r"""Return :math:`r(W^\top x + b)` with :math:`b = -\delta\|h\|`, or a sharper form.

    ``"soft"`` is the theorem's form and shrinks what it keeps; ``"hard"`` keeps entries
    above the offset as they are; ``"debiased"`` refits them by least squares on the
    observed units that are positive, where the model is exactly linear.

    Args:
        model: The generative model.
        x: What layer ``layer`` generated [N, n].
        layer: Which layer to reverse, 0 the one that gives the observed units.
        threshold: ``"linear"``, ``"soft"``, ``"hard"`` or ``"debiased"``.
        norm: The norms of the true h; estimated from ``x`` if not given.
        delta: Offset over the norm; ``default_delta`` if not given.
        recognition_keep: Share of observed units that recognition keeps, scaled up.
        seed: Seed of the units dropped at recognition.

    Returns:
        The recovered layers and what they rest on.

    Raises:
        InvalidArgumentError: An unknown threshold, or a share outside (0, 1].

    Cost:
        One product of [N, n] with [n, m]; ``"debiased"`` adds a least-squares problem
        of the support's size for every sample.
    """
    if threshold not in THRESHOLDS:
        raise InvalidArgumentError(
            f"cannot recover the hidden layer: threshold is {threshold!r}, and one of"
            f" {', '.join(THRESHOLDS)} is needed."
        )
    weight, scale, share = model.weights[layer], model.scales[layer], model.keep[layer]
    n, m = weight.shape
    kept_share = check_keep(recognition_keep)
    seen = x
    if kept_share < 1.0:
        source = generator(seed, x.device)
        drawn = torch.rand(x.shape, generator=source, device=x.device, dtype=x.dtype)
        seen = x * (drawn < kept_share) / kept_share
    # alpha W^T W h averages to h; other entry variances rescale alike.
    gain = scale * share * float(weight.square().sum()) / (2.0 * m)
    linear = seen @ weight / gain
    size = _estimated_norm(model, x, layer) if norm is None else norm.to(x.dtype)
    chosen = default_delta(share * kept_share * n, m) if delta is None else delta
    offset = chosen * size
    above = linear > offset[:, None]
    solved = torch.ones(x.shape[0], dtype=torch.bool, device=x.device)
    if threshold == "linear":
        hidden = linear
    elif threshold == "soft":
        hidden = torch.relu(linear - offset[:, None])
    else:
        hidden = torch.where(above, linear, torch.zeros_like(linear))
    if threshold == "debiased":
        hidden, solved = _refit(weight * scale, x, above)
    return Recognition(
        hidden=hidden, linear=linear, offset=offset, empty=~above.any(1), solved=solved
    )


def _estimated_norm(model: GenerativeModel, x: Tensor, layer: int) -> Tensor:
    r"""Return the norm of h from x: :math:`E\|x\|^2 = \rho\alpha^2 n\|h\|^2 v/2`."""
    weight, scale, share = model.weights[layer], model.scales[layer], model.keep[layer]
    variance = float(weight.square().mean())
    return (2 * x.square().sum(1) / (share * weight.shape[0] * variance)).sqrt() / scale


def _refit(weight: Tensor, x: Tensor, support: Tensor) -> tuple[Tensor, Tensor]:
    hidden = torch.zeros_like(support, dtype=x.dtype)
    solved = torch.zeros(x.shape[0], dtype=torch.bool, device=x.device)
    for i in range(x.shape[0]):
        columns, rows = support[i].nonzero()[:, 0], (x[i] > 0).nonzero()[:, 0]
        if columns.numel() == 0 or columns.numel() > rows.numel():
            continue
        block = weight.index_select(1, columns).index_select(0, rows)
        orthonormal, triangle = torch.linalg.qr(block)
        diagonal = triangle.diagonal().abs()
        floor = diagonal.max() * block.shape[0] * torch.finfo(x.dtype).eps
        if bool((diagonal > floor).all()):
            right = (orthonormal.T @ x[i, rows])[:, None]
            fit = torch.linalg.solve_triangular(triangle, right, upper=True)
            hidden[i, columns] = fit[:, 0]
            solved[i] = True
    return hidden, solved
