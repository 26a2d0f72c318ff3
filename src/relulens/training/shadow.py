"""Shadow training: labelled batches drawn from the network's own generative model."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from relulens.reversal.generative import check_keep, dropped, generator
from relulens.training.recording import Recording, record


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ShadowBatch:
    """A synthetic labelled batch; data, without gradients.

    Attributes:
        x: Inputs drawn from the transposed network.
        y: The labels of the batch whose features they were drawn from.
        layer: Name of the activation that they were drawn from.
    """

    x: Tensor
    y: Tensor
    layer: str


def shadow_batch(
    module: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    layer: int | str = -1,
    seed: int,
    keep: float = 0.5,
    match_norms: bool = True,
) -> ShadowBatch:
    r"""Return inputs drawn from :math:`p(x | h)` with the features h of a real batch.

    The features are sent back by :math:`r(\alpha K^\top h) \circ n_\rho` through the
    affine maps K between activations, as in the source's generative model. Trained
    weights miss the theory's scale; with ``match_norms`` every layer is scaled to the
    mean norm that the real batch has there, else
    :math:`\alpha = 2\|h\|^2/(\rho\|K^\top h\|^2)` is the theory's mean for random K.

    Args:
        module: A live module; its mode and state are left as they are.
        x: Inputs, batch first.
        y: Their labels.
        layer: The activation to draw from: a number or the module path; the last by
            default.
        seed: Seed of the dropped units.
        keep: Probability that a generated unit is kept, in (0, 1].
        match_norms: Whether every layer is scaled to its real mean norm.

    Returns:
        The batch, on the device and in the type of ``x``.

    Raises:
        UnknownNameError: No activation has this name or number.
        InvalidArgumentError: The module ran no known activation, or ``keep`` lies
            outside (0, 1].

    Cost:
        One forward and one backward pass.
    """
    share = check_keep(keep)
    recording = record(module, x)
    place = recording.index(layer)
    made = _drawn(recording, place, share, seed, match_norms)
    return ShadowBatch(x=made.to(x.dtype), y=y, layer=recording.activations[place].name)


def _drawn(
    recording: Recording, place: int, share: float, seed: int, match_norms: bool
) -> Tensor:
    source = generator(seed, recording.x.device)
    activations = recording.activations
    waiting: dict[int, list[Tensor]] = {place: [activations[place].value.detach()]}
    to_input: list[Tensor] = []
    for index in range(place, -1, -1):
        if index not in waiting:
            continue
        value = torch.stack(waiting.pop(index)).mean(0)
        if index != place:
            real = activations[index].value.detach()
            value = torch.relu(value)
            value = (
                _matched(dropped(value, share, source), real) if match_norms else value
            )
        earlier = [activations[j].value for j in range(index)]
        pulled = torch.autograd.grad(
            activations[index].argument,
            [recording.x, *earlier],
            grad_outputs=value,
            retain_graph=True,
            allow_unused=True,
        )
        total = sum(float(p.square().sum()) for p in pulled if p is not None)
        factor = 2 * float(value.square().sum()) / (share * total) if total else 0.0
        for j, part in enumerate(pulled):
            if part is not None and j > 0:
                waiting.setdefault(j - 1, []).append(part.detach() * factor)
            elif part is not None:
                to_input.append(part.detach() * factor)
    made = torch.stack(to_input).mean(0) if to_input else torch.zeros_like(recording.x)
    real = recording.x.detach()
    if bool((real >= 0).all()):
        made = torch.relu(made)
    made = dropped(made, share, source)
    return (_matched(made, real) if match_norms else made).detach()


def _matched(made: Tensor, real: Tensor) -> Tensor:
    wanted = real.flatten(1).norm(dim=1).mean()
    found = made.flatten(1).norm(dim=1).mean()
    return made * (wanted / found) if bool(found > 0) else made


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ShadowTraining:
    """The loss of a step with a shadow batch, for any loop.

    Attributes:
        loss: Loss of outputs and labels.
        layer: The activation to draw from.
        keep: Probability that a generated unit is kept.
        weight: Weight beta of the shadow batch's loss.
        start: First epoch in which the shadow batch is used.
        match_norms: Whether every layer is scaled to its real mean norm.
    """

    loss: nn.Module
    layer: int | str = -1
    keep: float = 0.5
    weight: float = 0.1
    start: int = 0
    match_norms: bool = True

    def __call__(
        self, module: nn.Module, x: Tensor, y: Tensor, *, epoch: int, seed: int
    ) -> Tensor:
        """Return ``loss(module(x), y) + weight * loss(module(shadow x), y)``.

        Args:
            module: The live module.
            x: Inputs, batch first.
            y: Labels.
            epoch: The epoch, counted from 0.
            seed: Seed of the dropped units; another one each step.
        """
        total: Tensor = self.loss(module(x), y)
        if epoch < self.start or self.weight == 0.0:
            return total
        shadow = shadow_batch(
            module,
            x,
            y,
            layer=self.layer,
            seed=seed,
            keep=self.keep,
            match_norms=self.match_norms,
        )
        return total + self.weight * self.loss(module(shadow.x), shadow.y)
