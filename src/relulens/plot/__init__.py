"""Draw results: every function takes a result and an Axes, and returns the Axes."""

from relulens.plot.attack import attack_curve, worst_examples
from relulens.plot.certified_accuracy import certified_accuracy
from relulens.plot.distribution import certified_share, distribution
from relulens.plot.implicit import implicit
from relulens.plot.layer_pieces import layer_pieces
from relulens.plot.margins import margins
from relulens.plot.network import network
from relulens.plot.partition import partition
from relulens.plot.partition_film import partition_film
from relulens.plot.random_spectrum import random_spectrum
from relulens.plot.relu_effect import relu_effect
from relulens.plot.spectrum import spectrum
from relulens.plot.split import logit_split
from relulens.plot.templates import templates
from relulens.plot.verdict_histogram import verdict_histogram

__all__ = [
    "attack_curve",
    "certified_accuracy",
    "certified_share",
    "distribution",
    "implicit",
    "layer_pieces",
    "logit_split",
    "margins",
    "network",
    "partition",
    "partition_film",
    "random_spectrum",
    "relu_effect",
    "spectrum",
    "templates",
    "verdict_histogram",
    "worst_examples",
]
