"""What a random initial state adds to a recurrent network's loss."""

from collections.abc import Callable

import torch
from torch import Tensor


def random_state_penalty(
    output: Callable[[Tensor], Tensor],
    state: Tensor,
    *,
    deviation: float,
    loss: str = "cross_entropy",
) -> Tensor:
    r"""Return the expected increase of the loss for a state :math:`N(h_0, s^2 I)`.

    To second order, and exactly while the noise stays in the state's region: for a
    squared error :math:`\tfrac12\|z - y\|^2` it is :math:`\tfrac12 s^2\|A_h\|_F^2`, for
    cross-entropy :math:`\tfrac12 s^2 \operatorname{tr}(A_h^\top(D_p - pp^\top)A_h)`,
    with the slope :math:`A_h` of the output in the initial state, the softmax p and
    the diagonal matrix :math:`D_p` of it.

    Args:
        output: The network's output [N, classes] as a function of the state.
        state: Initial states [N, ...].
        deviation: Standard deviation s of every entry.
        loss: ``"cross_entropy"`` or ``"squared_error"``.

    Returns:
        The mean over the batch, with gradients to the network's weights.

    Raises:
        ValueError: Another loss.

    Cost:
        One backward pass an output, differentiable.
    """
    if loss not in ("cross_entropy", "squared_error"):
        raise ValueError(
            f"cannot add a random state to the loss {loss!r}: 2 are known,"
            " cross_entropy and squared_error. Use one of them."
        )
    leaf = state.detach().requires_grad_()
    value = output(leaf)
    rows = [
        torch.autograd.grad(value[:, c].sum(), leaf, create_graph=True)[0].flatten(1)
        for c in range(value.shape[1])
    ]
    slope = torch.stack(rows, dim=1)  # shape [N, classes, state]
    if loss == "squared_error":
        return 0.5 * deviation**2 * slope.square().sum((1, 2)).mean()
    p = torch.softmax(value, dim=1)
    mean = torch.einsum("nc,ncs->ns", p, slope)
    spread = torch.einsum("nc,ncs->n", p, slope.square()) - mean.square().sum(1)
    return 0.5 * deviation**2 * spread.mean()
