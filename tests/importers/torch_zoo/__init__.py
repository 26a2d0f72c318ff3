"""A table of small torch modules; importing this fills it."""

from importers.torch_zoo import images, pieces, sequences
from importers.torch_zoo.images import ResNet
from importers.torch_zoo.table import ZOO, Case

__all__ = ["ZOO", "Case", "ResNet", "images", "pieces", "sequences"]
