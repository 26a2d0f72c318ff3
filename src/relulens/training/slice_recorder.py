"""Slices of a module in training, kept as frames of a film."""

from collections.abc import Callable
from dataclasses import dataclass, field

from torch import nn

from relulens.errors import InvalidArgumentError
from relulens.graph.network import Network
from relulens.regions.frame import SliceFrame, slice_frame
from relulens.regions.plane import Plane
from relulens.regions.slice import slice_partition


@dataclass(eq=False, kw_only=True)
class SliceRecorder:
    """Cut a slice of a module now and then while it trains; call it at every step.

    Only polygons, predictions and slope norms are kept, about 70 bytes a cell; neither
    weights nor patterns are. ``relulens.plot.partition_film`` makes a film of them.

    Attributes:
        follow: Gives the network of a module as it is now, such as
            ``functools.partial(relulens.refresh, network)``.
        plane: The plane through input space.
        domain: Corners of the polygon [k, 2] in plane coordinates.
        every: Steps between frames; a step is taken if this divides it.
        layers: The last layer to cut by; all of them by default.
        budget: Seconds a frame; a frame that is not finished says so.
        cells: Cells a frame, likewise.
        frames: What was recorded, in order.

    Raises:
        InvalidArgumentError: ``every`` is below 1.

    Example:
        >>> from functools import partial
        >>> import torch, relulens as rl
        >>> module = torch.nn.Sequential(torch.nn.Linear(2, 5), torch.nn.ReLU())
        >>> network = rl.from_torch(module, torch.zeros(1, 2))
        >>> recorder = SliceRecorder(
        ...     follow=partial(rl.refresh, network),
        ...     plane=rl.Plane([0.0, 0.0], [[1.0, 0.0], [0.0, 1.0]]),
        ...     domain=[[-1, -1], [1, -1], [1, 1], [-1, 1]],
        ...     every=10,
        ... )
        >>> for step in range(21):
        ...     _ = recorder(module, step)
        >>> [frame.step for frame in recorder.frames]
        [0, 10, 20]
    """

    follow: Callable[[nn.Module], Network]
    plane: Plane
    domain: object
    every: int = 1
    layers: int | str | None = None
    budget: float | None = None
    cells: int | None = None
    frames: list[SliceFrame] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        """Check the settings."""
        if self.every < 1:
            raise InvalidArgumentError(
                f"cannot record a slice every {self.every} steps: 1 is the least. Use"
                " 10."
            )

    def __call__(self, module: nn.Module, step: int) -> SliceFrame | None:
        """Record a frame, if it is the step's turn, and return it.

        The module is left as it was, its mode and gradients included.

        Args:
            module: The module in training.
            step: Number of the step or the epoch.

        Raises:
            NotPolyhedralError: Smooth or coupled nodes are among the ancestors.
            ShapeError: The plane lies in another space than the module's inputs.
        """
        if step % self.every:
            return None
        partition = slice_partition(
            self.follow(module),
            self.plane,
            self.domain,
            layers=self.layers,
            budget=self.budget,
            cells=self.cells,
        )
        frame = slice_frame(partition, step=step)
        self.frames.append(frame)
        return frame

    @property
    def bytes(self) -> int:
        """Memory of all frames."""
        return sum(frame.bytes for frame in self.frames)
