"""Rules of normalisation layers."""

from relulens.importers.aten.call import Call, aten
from relulens.importers.aten.sources import Missing, Source
from relulens.importers.operations import normalise as operations
from relulens.importers.registry import RefusedError
from relulens.importers.values import Value

_TRAINING = (
    "batch normalisation in training mode mixes the inputs of a batch; use"
    " module.eval() and track_running_stats=True"
)
_STATISTICS = Missing("statistics of a normalisation are no result of a network")


def _batch_norm(call: Call) -> Value:
    mean = call.optional_tensor("running_mean")
    variance = call.optional_tensor("running_var")
    if mean is None or variance is None:
        raise RefusedError(_TRAINING)
    return operations.batch_norm(
        call.build,
        call.name,
        call.value("input"),
        call.optional_tensor("weight"),
        call.optional_tensor("bias"),
        mean,
        variance,
        call.number("eps"),
    )


@aten(("batch_norm", "cudnn_batch_norm"), "Affine", note="in eval mode")
def _batch_norm_rule(call: Call) -> Value:
    if call.flag("training"):
        raise RefusedError(_TRAINING)
    return _batch_norm(call)


@aten("_native_batch_norm_legit_no_training", "Affine")
def _native_batch_norm(call: Call) -> tuple[Source, ...]:
    return _batch_norm(call), _STATISTICS, _STATISTICS


@aten(("native_batch_norm", "_native_batch_norm_legit"), "Affine", note="in eval mode")
def _legit_batch_norm(call: Call) -> tuple[Source, ...]:
    if call.flag("training"):
        raise RefusedError(_TRAINING)
    return _batch_norm(call), _STATISTICS, _STATISTICS


@aten("instance_norm", ("Coupled", "Affine"))
def _instance_norm(call: Call) -> Value:
    if not call.flag("use_input_stats"):
        return _batch_norm(call)
    return operations.instance_norm(
        call.build,
        call.name,
        call.value("input"),
        call.optional_tensor("weight"),
        call.optional_tensor("bias"),
        call.number("eps"),
    )


@aten("layer_norm", "Coupled")
def _layer_norm(call: Call) -> Value:
    return operations.layer_norm(
        call.build,
        call.name,
        call.value("input"),
        call.integers("normalized_shape"),
        call.optional_tensor("weight"),
        call.optional_tensor("bias"),
        call.number("eps"),
    )


@aten("native_layer_norm", "Coupled")
def _native_layer_norm(call: Call) -> tuple[Source, ...]:
    return _layer_norm(call), _STATISTICS, _STATISTICS


@aten("group_norm", "Coupled")
def _group_norm(call: Call) -> Value:
    return operations.group_norm(
        call.build,
        call.name,
        call.value("input"),
        call.integer("num_groups"),
        call.optional_tensor("weight"),
        call.optional_tensor("bias"),
        call.number("eps"),
    )


@aten("native_group_norm", "Coupled")
def _native_group_norm(call: Call) -> tuple[Source, ...]:
    normalised = operations.group_norm(
        call.build,
        call.name,
        call.value("input"),
        call.integer("group"),
        call.optional_tensor("weight"),
        call.optional_tensor("bias"),
        call.number("eps"),
    )
    return normalised, _STATISTICS, _STATISTICS


@aten("rms_norm", "Coupled")
def _rms_norm(call: Call) -> Value:
    return _root_mean_square(call, call.optional_number("eps"))


@aten("_fused_rms_norm", "Coupled")
def _fused_rms_norm(call: Call) -> tuple[Source, ...]:
    return _root_mean_square(call, call.optional_number("eps")), _STATISTICS


def _root_mean_square(call: Call, epsilon: float | None) -> Value:
    return operations.rms_norm(
        call.build,
        call.name,
        call.value("input"),
        call.integers("normalized_shape"),
        call.optional_tensor("weight"),
        # Without a number torch takes the rounding unit of the type it computes in.
        call.rounding if epsilon is None else epsilon,
    )
