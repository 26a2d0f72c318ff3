"""Watch the activations of a live module while it runs, and cut the graph at them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from typing_extensions import override

from relulens.errors import InvalidArgumentError, UnknownNameError

RECTIFIERS: frozenset[Callable[..., Tensor]] = frozenset({
    functional.relu,
    functional.leaky_relu,
    functional.relu6,
    functional.elu,
    functional.gelu,
    functional.silu,
    functional.softplus,
    torch.relu,
    torch.relu_,
    Tensor.relu,
    Tensor.relu_,
    torch.tanh,
    Tensor.tanh,
    torch.sigmoid,
    Tensor.sigmoid,
})


@dataclass(frozen=True, slots=True, eq=False)
class Activation:
    """One activation that ran.

    Attributes:
        name: Path of the module that called it, numbered if it called several.
        argument: What it read, with the graph back to earlier activations only.
        value: What it gave, a leaf of the graph.
    """

    name: str
    argument: Tensor
    value: Tensor


@dataclass(eq=False)
class _Recorder(TorchFunctionMode):
    """Replace every activation's value by a leaf, so that gradients stop there."""

    found: list[Activation] = field(default_factory=list)
    path: list[str] = field(default_factory=lambda: [""])

    def __post_init__(self) -> None:
        super().__init__()

    @override
    def __torch_function__(
        self,
        func: Callable[..., Tensor],
        types: Sequence[type],
        args: tuple[object, ...] = (),
        kwargs: dict[str, object] | None = None,
    ) -> object:
        """Run a torch function; leave a leaf behind where it is an activation."""
        given = dict(kwargs or {})
        if func not in RECTIFIERS or not isinstance(args[0], Tensor):
            return func(*args, **given)
        given.pop("inplace", None)
        argument = args[0]
        with torch.no_grad():
            value = _out_of_place(func)(argument.detach(), *args[1:], **given)
        leaf = value.detach().requires_grad_()
        self.found.append(Activation(self._name(), argument, leaf))
        return leaf

    def _name(self) -> str:
        name = self.path[-1] or "activation"
        same = sum(a.name == name or a.name.startswith(f"{name}.") for a in self.found)
        return name if same == 0 else f"{name}.{same}"


def _out_of_place(func: Callable[..., Tensor]) -> Callable[..., Tensor]:
    return torch.relu if func in (torch.relu_, Tensor.relu_) else func


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Recording:
    """What ran: the input as a leaf, the activations in order, and the output.

    Attributes:
        x: The input, a leaf of the graph.
        activations: All activations, in order.
        output: The module's output, with the graph back to activations.
    """

    x: Tensor
    activations: tuple[Activation, ...]
    output: Tensor

    def index(self, layer: int | str) -> int:
        """Return the activation that a number or a module path stands for.

        Raises:
            UnknownNameError: There is none.
        """
        names = [a.name for a in self.activations]
        if isinstance(layer, str) and layer in names:
            return names.index(layer)
        if isinstance(layer, int) and -len(names) <= layer < len(names):
            return layer % len(names)
        raise UnknownNameError(str(layer), names)


def record(module: nn.Module, x: Tensor) -> Recording:
    """Run a module with its graph cut at every activation.

    The module is left as it was; it runs in the mode that it is in, except that batch
    norm's running numbers are kept.

    Args:
        module: The module.
        x: Inputs, batch first.

    Raises:
        InvalidArgumentError: The module ran no activation that is known.
    """
    recorder = _Recorder()
    handles = []
    for name, part in module.named_modules():

        def enter(_: nn.Module, __: object, name: str = name) -> None:
            recorder.path.append(name)

        def leave(_: nn.Module, __: object, ___: object) -> None:
            recorder.path.pop()

        handles.append(part.register_forward_pre_hook(enter))
        handles.append(part.register_forward_hook(leave, always_call=True))
    norms = [
        m for m in module.modules() if isinstance(m, nn.modules.batchnorm._NormBase)
    ]
    tracking = [norm.track_running_stats for norm in norms]
    leaf = x.detach().requires_grad_()
    try:
        for norm in norms:
            norm.track_running_stats = norm.track_running_stats and not norm.training
        with recorder, torch.enable_grad():
            output = module(leaf)
    finally:
        for norm, track in zip(norms, tracking, strict=True):
            norm.track_running_stats = track
        for handle in handles:
            handle.remove()
    if not recorder.found:
        raise InvalidArgumentError(
            "cannot watch the module: it ran 0 activations that are known (ReLU and its"
            " relatives, tanh, sigmoid). Use one of them, as a module or a function."
        )
    return Recording(x=leaf, activations=tuple(recorder.found), output=output)
