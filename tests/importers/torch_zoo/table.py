"""A table of small torch modules and their inputs: one of each architecture."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Case:
    """A module in float64 with random weights.

    Attributes:
        module: The module, in eval mode.
        shape: Shape of one input.
        batch_axis: Where the module wants the batch.
        output: Which of its outputs is taken.
        polyhedral: Whether it is piecewise affine.
    """

    module: nn.Module
    shape: tuple[int, ...]
    batch_axis: int = 0
    output: int | None = None
    polyhedral: bool = True

    def example(self, rows: int = 2) -> Tensor:
        """Return random inputs as the module takes them."""
        generator = torch.Generator().manual_seed(rows)
        x = torch.randn(rows, *self.shape, generator=generator, dtype=torch.float64)
        return x.movedim(0, self.batch_axis)


Factory: TypeAlias = Callable[[], Case]
ZOO: dict[str, Factory] = {}


def case(factory: Factory) -> Factory:
    """Add a factory to the table: weights drawn with one seed, statistics too."""

    def made() -> Case:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            found = factory()
            module = found.module.double().eval()
            for part in module.modules():
                if isinstance(part, nn.modules.batchnorm._BatchNorm):
                    nn.init.normal_(part.running_mean)
                    nn.init.uniform_(part.running_var, 0.5, 2.0)
                    nn.init.uniform_(part.weight, 0.5, 2.0)
                    nn.init.normal_(part.bias)
        return found

    ZOO[factory.__name__] = made
    return made
