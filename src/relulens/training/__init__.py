"""Functions of a live torch module and a batch, for use in any training loop."""

from relulens.training.orthogonality import template_orthogonality
from relulens.training.random_state import random_state_penalty
from relulens.training.row_balls import project_rows
from relulens.training.shadow import ShadowBatch, ShadowTraining, shadow_batch

__all__ = [
    "ShadowBatch",
    "ShadowTraining",
    "project_rows",
    "random_state_penalty",
    "shadow_batch",
    "template_orthogonality",
]
