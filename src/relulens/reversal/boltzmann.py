"""Restricted Boltzmann machines: reversible by definition, the reference."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from relulens.reversal.generative import generator


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class BoltzmannMachine:
    r"""The distribution :math:`p(x, h) \propto \exp(x^\top W h + b^\top x + c^\top h)`.

    Both layers are binary, and both conditionals factorise, so that either layer is
    drawn from the other exactly.

    Attributes:
        weight: W [n, m], observed times hidden.
        visible_bias: b [n].
        hidden_bias: c [m].
    """

    weight: Float[Tensor, "n m"]
    visible_bias: Float[Tensor, " n"]
    hidden_bias: Float[Tensor, " m"]

    def hidden_probability(
        self, x: Float[Tensor, "batch n"]
    ) -> Float[Tensor, "batch m"]:
        """Return ``p(h_i = 1 | x) = sigmoid(W^T x + c)``."""
        return torch.sigmoid(x @ self.weight + self.hidden_bias)

    def visible_probability(
        self, h: Float[Tensor, "batch m"]
    ) -> Float[Tensor, "batch n"]:
        """Return ``p(x_j = 1 | h) = sigmoid(W h + b)``."""
        return torch.sigmoid(h @ self.weight.T + self.visible_bias)

    def sample_hidden(self, x: Float[Tensor, "batch n"], *, seed: int = 0) -> Tensor:
        """Return hidden layers drawn given observed ones."""
        return _bernoulli(self.hidden_probability(x), seed)

    def sample_visible(self, h: Float[Tensor, "batch m"], *, seed: int = 0) -> Tensor:
        """Return observed layers drawn given hidden ones."""
        return _bernoulli(self.visible_probability(h), seed)


def _bernoulli(probability: Tensor, seed: int) -> Tensor:
    return torch.bernoulli(probability, generator=generator(seed, probability.device))
