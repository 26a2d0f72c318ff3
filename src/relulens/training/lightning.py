"""Shadow training as a callback of Lightning, where that is installed."""

from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor, nn

from relulens.errors import InvalidArgumentError
from relulens.training.shadow import shadow_batch

if TYPE_CHECKING:
    from collections.abc import Sequence


class _Trainer(Protocol):
    """What the callback reads of a trainer."""

    current_epoch: int
    global_step: int


def shadow_callback(
    *,
    layer: int | str = -1,
    keep: float = 0.5,
    start: int = 0,
    every: int = 2,
    match_norms: bool = True,
) -> object:
    """Return a Lightning callback that trains on shadow batches now and then.

    Every ``every``-th batch (x, y) of an epoch from ``start`` on is replaced, in place,
    by inputs drawn from its own features with the same labels; so a share of
    1 / ``every`` of the training is shadow training, without a change of the module's
    training step. For a weighted sum of both losses call ``ShadowTraining``.

    Args:
        layer: The activation to draw from.
        keep: Probability that a generated unit is kept, in (0, 1].
        start: First epoch in which batches are replaced.
        every: Which share of the batches is replaced.
        match_norms: Whether every layer is scaled to its real mean norm.

    Raises:
        InvalidArgumentError: Lightning is not installed, or ``every`` is below 1.
    """
    if every < 1:
        raise InvalidArgumentError(
            f"cannot replace every {every}-th batch: 1 is the least. Use 2."
        )
    try:
        from lightning.pytorch import Callback
    except ImportError as error:
        raise InvalidArgumentError(
            "cannot make a Lightning callback: 0 of the 1 package it needs, lightning,"
            " is installed. Install it, or call ShadowTraining in your own loop."
        ) from error

    class ShadowCallback(Callback):
        """Replaces batches by shadow batches."""

        def on_train_batch_start(
            self,
            trainer: _Trainer,
            pl_module: nn.Module,
            batch: "Sequence[Tensor]",
            batch_idx: int,
        ) -> None:
            """Replace the batch's inputs where its turn has come."""
            if trainer.current_epoch < start or batch_idx % every != every - 1:
                return
            x, y = batch[0], batch[1]
            made = shadow_batch(
                pl_module,
                x,
                y,
                layer=layer,
                seed=trainer.global_step,
                keep=keep,
                match_norms=match_norms,
            )
            with torch.no_grad():
                x.copy_(made.x)

    return ShadowCallback()
