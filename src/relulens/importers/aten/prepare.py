"""Copies of a module that are safe to export: the user's module is never touched."""

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrize
from torch.nn.utils.spectral_norm import SpectralNorm, remove_spectral_norm
from torch.nn.utils.weight_norm import WeightNorm, remove_weight_norm

from relulens.errors import ModelLoadError, NotFiniteError


def prepared_copy(module: object) -> nn.Module:
    """Return a copy in eval mode on the processor, parametrisations made plain weights.

    Raises:
        ModelLoadError: It is no module, or its parameters are not initialised yet.
        NotFiniteError: A parameter holds NaN or infinite numbers, or a buffer NaN.
    """
    if not isinstance(module, nn.Module) or isinstance(module, torch.jit.ScriptModule):
        raise ModelLoadError(
            f"cannot import the model: it is a {type(module).__name__}, and a"
            " torch.nn.Module is needed. Pass the module itself, not a scripted one."
        )
    for name, parameter in module.named_parameters():
        if is_lazy(parameter):
            raise ModelLoadError(
                f"cannot import the model: its parameter {name!r} has no shape yet. Run"
                " the module once before."
            )
    plain = copy.deepcopy(module, _leaves(module)).eval().to("cpu")
    for part in list(plain.modules()):
        _remove_parametrisations(part)
    _check_finite(plain)
    return plain


_SLOTS = frozenset({"__dict__", "__weakref__"})


def _leaves(module: nn.Module) -> dict[int, object]:
    """Return copies of computed tensors, which deepcopy refuses, by their identity."""
    return {
        id(held): held.detach().clone()
        for part in module.modules()
        for held in vars(part).values()
        if isinstance(held, Tensor) and not held.is_leaf
    }


def _remove_parametrisations(part: nn.Module) -> None:
    if parametrize.is_parametrized(part):
        # A copy shares its class with the original, and removal edits the class.
        kind = type(part)
        own = {k: v for k, v in vars(kind).items() if k not in _SLOTS}
        part.__class__ = type(kind.__name__, kind.__bases__, own)
        parametrised = part.parametrizations
        if isinstance(parametrised, nn.ModuleDict):
            for name in list(parametrised):
                parametrize.remove_parametrizations(part, name)
    for hook in list(part._forward_pre_hooks.values()):
        if isinstance(hook, WeightNorm):
            remove_weight_norm(part, hook.name)
        elif isinstance(hook, SpectralNorm):
            remove_spectral_norm(part, hook.name)


def _check_finite(module: nn.Module) -> None:
    for name, numbers in named_tensors(module).items():
        if not numbers.is_floating_point():
            continue
        is_parameter = isinstance(numbers, nn.Parameter)
        # Infinite buffers are masks; they are judged where they are used.
        bad = ~torch.isfinite(numbers) if is_parameter else torch.isnan(numbers)
        if bool(bad.any()):
            raise NotFiniteError(
                f"cannot import the model: {int(bad.sum())} of the {numbers.numel()}"
                f" numbers of {name!r} are NaN or infinite. Train the model again, or"
                " load other weights."
            )


def named_tensors(module: nn.Module) -> Mapping[str, Tensor]:
    """Return parameters and buffers, shared ones under each of their names."""
    return {
        **dict(module.named_parameters(remove_duplicate=False)),
        **dict(module.named_buffers(remove_duplicate=False)),
    }
