"""Options that several commands share, gathered into one value per group."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import click

from relulens.cli.progress import Mode
from relulens.errors import InvalidArgumentError

if TYPE_CHECKING:
    from relulens.data.arrangement import Layout
    from relulens.data.data_set import DataSet
    from relulens.graph.network import Network

Command: TypeAlias = Callable[..., Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOptions:
    """How a model is read.

    Attributes:
        mean: Subtracted from the input, one number or one a channel.
        std: The input is divided by it, likewise.
        domain: Lowest and highest number of an input.
        output: Name of the output to use.
        arch: ``FILE:BUILD``, a function that builds the module of a state dict.
        input_shape: Shape of one input, where nothing else says it.
        allow_unsafe: Whether a file that can run code may be opened.
        dtype: Type of every number.
        device: Where every number lives.
    """

    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None
    domain: tuple[float, float] | None
    output: str | None
    arch: str | None
    input_shape: tuple[int, ...] | None
    allow_unsafe: bool
    dtype: str
    device: str

    def changed(self) -> list[str]:
        """Return the flags that were given, as they are written."""
        flags = {"allow_unsafe": "--allow-unsafe-model", "input_shape": "--input-shape"}
        return [flags.get(name, f"--{name}") for name in self._given()]

    def recipe(self, path: str) -> str:
        """Return the Python that gives the same network."""
        words = {name: repr(value) for name, value in self._given().items()}
        if self.domain is not None:
            words["domain"] = f"rl.Box({self.domain[0]!r}, {self.domain[1]!r})"
        if "dtype" in words:
            words["dtype"] = f"torch.{self.dtype}"
        given = "".join(f", {name}={text}" for name, text in words.items())
        return f"rl.load({path!r}{given})"

    def _given(self) -> dict[str, object]:
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        usual = {"dtype": "float64", "device": "cpu", "allow_unsafe": False}
        return {k: v for k, v in values.items() if v != usual.get(k)}

    def load(self, path: str) -> "Network":
        """Return the network of a model file.

        Raises:
            UsageError: There is no such file.
        """
        if not Path(path).is_file():
            raise click.UsageError(
                f"cannot read {path}: there is no such file. Pass an .onnx file, or"
                " weights (.safetensors, .pt) with --arch FILE.py:BUILD."
            )
        import torch

        from relulens.graph.domain import Box
        from relulens.importers.load import load

        return load(
            path,
            mean=_scalar(self.mean),
            std=_scalar(self.std),
            domain=None if self.domain is None else Box(*self.domain),
            output=self.output,
            arch=self.arch,
            input_shape=self.input_shape,
            allow_unsafe=self.allow_unsafe,
            dtype={"float32": torch.float32, "float64": torch.float64}[self.dtype],
            device=_device(self.device),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DataOptions:
    """Which inputs are used.

    Attributes:
        path: File or folder of the data set, or nothing for the embedded one.
        samples: How many inputs, chosen at random; all by default.
        seed: Seed of that choice and of everything else that is random.
        layout: Where the data have their channels.
        scale: What every number is divided by.
        label: The label's column or array.
    """

    path: str | None
    samples: int | None
    seed: int
    layout: "Layout | None"
    scale: float | None
    label: str | None

    def read(self, network: "Network") -> "DataSet":
        """Return the data set, shaped for the network."""
        if self.path is None:
            from relulens.data.digits import embedded_data

            return embedded_data(network, samples=self.samples, seed=self.seed)
        from relulens.data.read import read_data

        return read_data(
            self.path,
            network,
            samples=self.samples,
            seed=self.seed,
            layout=self.layout,
            scale=self.scale,
            label=self.label,
        )


def _device(name: str) -> str:
    """Return a device's name if torch can compute there.

    Raises:
        InvalidArgumentError: It cannot.
    """
    import torch

    try:
        torch.zeros(1, device=name)
    # Where torch was built without a backend, it asserts.
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise InvalidArgumentError(
            f"cannot compute on --device {name!r}: {str(error).splitlines()[0]}."
            " Leave it out for the CPU."
        ) from error
    return name


def _scalar(numbers: tuple[float, ...] | None) -> float | tuple[float, ...] | None:
    return numbers[0] if numbers is not None and len(numbers) == 1 else numbers


def model_options(command: Command) -> Command:
    """Add the options that say how a model is read."""
    return _add(_MODEL, command)


def data_options(command: Command) -> Command:
    """Add the options that say which inputs are used."""
    return _add(_DATA, command)


def progress_options(command: Command) -> Command:
    """Add the options that say what is shown while a command runs."""
    return _add(_PROGRESS, command)


def chosen_model(context: click.Context) -> ModelOptions:
    """Return how the model of a command is read."""
    kept = context.meta
    shape = kept["relulens.input_shape"]
    return ModelOptions(
        mean=kept["relulens.mean"],
        std=kept["relulens.std"],
        domain=kept["relulens.domain"],
        output=kept["relulens.output"],
        arch=kept["relulens.arch"],
        input_shape=None if shape is None else tuple(map(int, shape)),
        allow_unsafe=kept["relulens.allow_unsafe_model"],
        dtype=kept["relulens.dtype"],
        device=kept["relulens.device"],
    )


def chosen_data(context: click.Context) -> DataOptions:
    """Return which inputs a command uses."""
    kept = context.meta
    return DataOptions(
        path=kept["relulens.data"],
        samples=kept["relulens.samples"],
        seed=kept["relulens.seed"],
        layout=kept["relulens.layout"],
        scale=kept["relulens.scale"],
        label=kept["relulens.label"],
    )


def chosen_progress(context: click.Context) -> Mode:
    """Return what a command shows while it runs."""
    kept = context.meta
    return "none" if kept["relulens.quiet"] else kept["relulens.progress"]


def _keep(context: click.Context, parameter: click.Parameter, value: object) -> None:
    context.meta[f"relulens.{parameter.name}"] = value


def _keep_numbers(
    context: click.Context, parameter: click.Parameter, text: str | None
) -> None:
    try:
        numbers = None if text is None else tuple(map(float, text.split(",")))
    except ValueError:
        raise click.BadParameter(
            f"{text!r} is not a number or numbers between commas."
        ) from None
    _keep(context, parameter, numbers)


def _add(options: Sequence[Callable[[Command], Command]], command: Command) -> Command:
    for option in reversed(options):
        command = option(command)
    return command


# Kept in the context, so that commands take no long lists of arguments.
_option = partial(click.option, expose_value=False, callback=_keep)
_numbers = partial(
    click.option, metavar="NUMBERS", expose_value=False, callback=_keep_numbers
)

_MODEL = (
    _numbers("--mean", help="Subtracted from inputs: a number or R,G,B."),
    _numbers("--std", help="Inputs are divided by it: a number or R,G,B."),
    _option(
        "--domain",
        nargs=2,
        type=float,
        metavar="LOW HIGH",
        help="Range of inputs; data outside it are refused.",
    ),
    _option("--output", metavar="NAME", help="Output to use, where there are several."),
    _option(
        "--arch",
        metavar="FILE.py:BUILD",
        help="Function that builds the module whose weights the file holds.",
    ),
    _numbers(
        "--input-shape", help="Shape of one input, as C,H,W, where the model says none."
    ),
    _option(
        "--allow-unsafe-model",
        is_flag=True,
        help="Open files that can run code (.pt2, pickles, TorchScript).",
    ),
    _option(
        "--dtype",
        type=click.Choice(["float64", "float32"]),
        default="float64",
        show_default=True,
        help="Type of every number.",
    ),
    _option("--device", default="cpu", show_default=True, help="Where to compute."),
)
_DATA = (
    _option(
        "--data",
        metavar="PATH",
        help="Data: .npz, .npy, .parquet, .csv, IDX or a folder of images.",
    ),
    _option(
        "--samples",
        type=click.IntRange(min=0),
        metavar="N",
        help="Use N inputs, chosen at random; all by default.",
    ),
    _option(
        "--seed", type=int, default=0, show_default=True, help="Seed of all chance."
    ),
    _option(
        "--layout",
        type=click.Choice(["NCHW", "NHWC"]),
        help="Where the data have their channels.",
    ),
    _option("--scale", type=float, metavar="S", help="Divide the data by S (255)."),
    _option("--label", metavar="NAME", help="Column or array of the labels."),
)
_PROGRESS = (
    _option(
        "--progress",
        type=click.Choice(["auto", "json", "none"]),
        default="auto",
        show_default=True,
        help="A bar in a terminal, JSON lines on stderr, or nothing.",
    ),
    _option("--quiet", "-q", is_flag=True, help="Say nothing but errors."),
)
