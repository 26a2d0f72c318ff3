"""Functions of a live torch module and a batch, for use in any training loop."""

from relulens.training.estimators import ImplicitClassifier, ImplicitRegressor
from relulens.training.fenchel import FenchelFit, fenchel_fit
from relulens.training.implicit_layer import (
    ImplicitLayer,
    LayerCertificate,
    RowBalls,
)
from relulens.training.orthogonality import template_orthogonality
from relulens.training.penalties import L1, BerHu, Groups
from relulens.training.pruning import Pruned, pruned
from relulens.training.random_state import random_state_penalty
from relulens.training.robust_term import carried_change
from relulens.training.row_balls import project_rows
from relulens.training.row_fit import RowFit, fit_rows
from relulens.training.shadow import ShadowBatch, ShadowTraining, shadow_batch
from relulens.training.slice_recorder import SliceRecorder
from relulens.training.state_driven import (
    StateDriven,
    TeacherStates,
    refitted,
    state_driven,
    teacher_states,
)

__all__ = [
    "L1",
    "BerHu",
    "FenchelFit",
    "Groups",
    "ImplicitClassifier",
    "ImplicitLayer",
    "ImplicitRegressor",
    "LayerCertificate",
    "Pruned",
    "RowBalls",
    "RowFit",
    "ShadowBatch",
    "ShadowTraining",
    "SliceRecorder",
    "StateDriven",
    "TeacherStates",
    "carried_change",
    "fenchel_fit",
    "fit_rows",
    "project_rows",
    "pruned",
    "random_state_penalty",
    "refitted",
    "shadow_batch",
    "state_driven",
    "teacher_states",
    "template_orthogonality",
]
