"""What an attack may change and what it must reach, checked once."""

import math
from dataclasses import dataclass
from numbers import Integral

import torch
from jaxtyping import Float, Int
from torch import Tensor

from relulens.errors import InvalidArgumentError, ShapeError
from relulens.graph.arrays import tensor_of
from relulens.graph.convert import converted
from relulens.graph.domain import Box, as_box
from relulens.graph.evaluate import evaluate
from relulens.graph.network import Network

CHANNELS = 6
"""Most channels of a pixel that is changed as one: it has two to this power corners."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class AttackQuestion:
    """The inputs, flattened, with what is allowed and what is wanted.

    Attributes:
        network: The network in float64.
        single: The network in float32.
        x: Inputs.
        low: Lowest allowed values of every input.
        high: Highest allowed values.
        pixels: Flat entries of each pixel.
        labels: Classes to leave.
        targets: Classes to reach, or nothing.
        k: Most pixels that may change, or nothing.
        seed: Seed of everything random.
    """

    network: Network
    single: Network
    x: Float[Tensor, "batch inputs"]
    low: Float[Tensor, "batch inputs"]
    high: Float[Tensor, "batch inputs"]
    pixels: Int[Tensor, "pixels channels"]
    labels: Int[Tensor, " batch"]
    targets: Int[Tensor, " batch"] | None
    k: int | None
    seed: int

    @property
    def budget(self) -> int:
        """Most pixels that may change."""
        return self.pixels.shape[0] if self.k is None else self.k

    def changes(self, inputs: Float[Tensor, "batch inputs"]) -> Int[Tensor, " batch"]:
        """Return how many pixels of inputs differ from the original ones."""
        differs = inputs != self.x
        return differs[:, self.pixels].any(2).sum(1)

    def target(self, index: int) -> int | None:
        """Return the class to reach from one input, or nothing."""
        return None if self.targets is None else int(self.targets[index])


def attack_question(
    network: Network,
    x: object,
    *,
    labels: object | None,
    targets: object | None,
    k: int | None,
    domain: Box | None,
    pixels: bool,
    seed: int,
) -> AttackQuestion:
    """Return the question, with every argument checked.

    Args:
        network: A classifier: its output is a vector of at least two logits.
        x: Inputs [N, *input_shape].
        labels: Classes [N]; the network's own predictions by default.
        targets: Classes [N] to reach, or one for all, or nothing.
        k: Most changes, or nothing.
        domain: Allowed inputs; ``network.domain`` by default.
        pixels: Whether all channels at a place count as one change.
        seed: Seed of everything random.

    Raises:
        InvalidArgumentError: An argument is outside what an attack can take.
    """
    _check_network(network)
    _check_classes(network)
    wide = converted(network, torch.float64)
    inputs = wide.as_input(x)
    flat = inputs.flatten(1)
    groups = _pixels(wide, pixels)
    _check_budget(k, groups.shape[0])
    low, high = _allowed(wide, flat, domain)
    own = evaluate(wide, inputs).argmax(1)
    leave = own if labels is None else _classes("labels", labels, wide, len(flat))
    reach = None if targets is None else _classes("targets", targets, wide, len(flat))
    if reach is not None and bool((reach == leave).any()):
        same = int((reach == leave).sum())
        raise InvalidArgumentError(
            f"cannot attack: {same} of {len(flat)} targets are the labels themselves."
            " Name classes to reach that differ from those to leave."
        )
    return AttackQuestion(
        network=wide,
        single=converted(network, torch.float32),
        x=flat,
        low=low,
        high=high,
        pixels=groups,
        labels=leave,
        targets=reach,
        k=k,
        seed=seed,
    )


def _check_network(network: object) -> None:
    """Refuse what is no network: attacks go from layer to layer.

    Raises:
        InvalidArgumentError: It is something else, such as a model with loops.
    """
    if not isinstance(network, Network):
        raise InvalidArgumentError(
            f"cannot attack a {type(network).__name__}: a network without loops is"
            " needed. Bound it with output_bounds, or attack the network it came from."
        )


def _check_classes(network: Network) -> None:
    shape = network.output_shape
    if len(shape) != 1 or shape[0] < 2:
        raise InvalidArgumentError(
            f"cannot attack the network: its output has shape {list(shape)}, and one"
            " axis with at least 2 classes is needed. Choose the logits by output=NAME."
        )


def _check_budget(k: int | None, count: int) -> None:
    if k is not None and (isinstance(k, bool) or not isinstance(k, Integral)):
        raise InvalidArgumentError(
            f"cannot attack with k={k}: k is a {type(k).__name__}, and a whole number"
            " is needed. Leave it out for as few as found."
        )
    if k is not None and not 1 <= k <= count:
        raise InvalidArgumentError(
            f"cannot attack with k={k}: k must be at least 1 and at most {count}, the"
            " number of entries (or pixels) of an input. Leave it out for as few as"
            " found."
        )


def _pixels(network: Network, grouped: bool) -> Tensor:
    shape = network.input_shape
    entries = torch.arange(math.prod(shape), device=network.device)
    if not grouped:
        return entries[:, None]
    if len(shape) != 3 or shape[0] > CHANNELS:
        raise InvalidArgumentError(
            f"cannot group channels into pixels: an input has shape {list(shape)}, and"
            f" [channels, height, width] with at most {CHANNELS} channels is needed."
            " Leave pixels=True out to change single entries."
        )
    return entries.reshape(shape[0], -1).T.contiguous()


def _allowed(network: Network, x: Tensor, domain: Box | None) -> tuple[Tensor, Tensor]:
    box = network.domain if domain is None else domain
    if box is None:
        raise InvalidArgumentError(
            "cannot attack: the allowed inputs are unknown, as the network has no"
            " domain. Pass domain, such as domain=rl.Box(0, 1)."
        )
    box = as_box(box)
    try:
        ends = [
            bound.to(network.device).expand(network.input_shape).reshape(1, -1)
            for bound in (box.low, box.high)
        ]
    except RuntimeError as error:
        raise ShapeError(
            "domain", tuple(box.low.shape), network.input_shape, "Use two numbers."
        ) from error
    if not bool(torch.isfinite(torch.cat(ends)).all()):
        raise InvalidArgumentError(
            f"cannot attack inside {box!r}: a bound is infinite, and changes go to the"
            " ends. Pass finite bounds."
        )
    outside = ((x < ends[0]) | (x > ends[1])).any(1)
    if bool(outside.any()):
        raise InvalidArgumentError(
            f"cannot attack: {int(outside.sum())} of {len(x)} inputs lie outside the"
            f" domain {box!r}; their values go from {x.min():g} to {x.max():g}. Scale"
            " them, or pass their domain."
        )
    return ends[0].expand_as(x), ends[1].expand_as(x)


def _classes(subject: str, given: object, network: Network, rows: int) -> Tensor:
    count = network.output_shape[0]
    value = tensor_of(given, subject=subject).to(network.device)
    real = value.is_floating_point() or value.dtype == torch.bool
    if real and value.numel():
        raise InvalidArgumentError(
            f"cannot use {subject}: their type is {value.dtype}, and whole numbers from"
            f" 0 to {count - 1} are needed. Convert them."
        )
    if value.ndim == 0 and subject == "targets":
        value = value.expand(rows)
    if tuple(value.shape) != (rows,):
        raise InvalidArgumentError(
            f"cannot use {subject}: their shape is {list(value.shape)}, and [{rows}] is"
            " needed, a class for each input. Give one number an input."
        )
    value = value.to(torch.int64)
    if rows and not (int(value.min()) >= 0 and int(value.max()) < count):
        raise InvalidArgumentError(
            f"cannot use {subject}: they go from {int(value.min())} to"
            f" {int(value.max())}, and the network's {count} classes from 0 to"
            f" {count - 1}. Check the labels."
        )
    return value
