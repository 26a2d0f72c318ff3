"""The final kinds of linear map, one family a file."""

from relulens.graph.maps.along_axis import AlongAxis
from relulens.graph.maps.average import AveragePool
from relulens.graph.maps.combine import Added, Adjoint, Composed, added, composed
from relulens.graph.maps.convolution import Convolution
from relulens.graph.maps.diagram import Arrow, Diagram, diagram
from relulens.graph.maps.indexing import Gather, Permute, Reshape, Slice
from relulens.graph.maps.scaling import Identity, Scale
from relulens.graph.maps.sparse import SparseMatrix
from relulens.graph.maps.summation import SumOver

__all__ = [
    "Added",
    "Adjoint",
    "AlongAxis",
    "Arrow",
    "AveragePool",
    "Composed",
    "Convolution",
    "Diagram",
    "Gather",
    "Identity",
    "Permute",
    "Reshape",
    "Scale",
    "Slice",
    "SparseMatrix",
    "SumOver",
    "added",
    "composed",
    "diagram",
]
