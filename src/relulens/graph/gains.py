"""Gains: how far a change of a nonlinear node's argument can carry, at most."""

from typing import assert_never

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor

from relulens.errors import OffendingNode, UnboundedError
from relulens.graph.coupled import (
    LogSumExp,
    MatrixProduct,
    Normalise,
    Product,
    Quotient,
    Softmax,
)
from relulens.graph.coupled_bounds import (
    Bounds,
    normalise_parts,
    normalise_reach,
    softmax_image,
)
from relulens.graph.linear_map import LinearMap, Shape
from relulens.graph.maps import AlongAxis, Identity, Scale, SparseMatrix
from relulens.graph.network import Network
from relulens.graph.nodes import Coupled, Maximum, Nonlinear, Smooth, TwoSlope
from relulens.graph.polyhedral import source_name
