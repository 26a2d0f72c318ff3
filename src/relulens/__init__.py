"""Exact answers about trained piecewise-affine networks."""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from relulens import errors as errors
    from relulens import plot as plot
    from relulens import training as training
    from relulens.bounds.program_bounds import Limits as Limits
    from relulens.certificates.file import read_certificate as read_certificate
    from relulens.certificates.file import write_certificate as write_certificate
    from relulens.data.read import read_data as read_data
    from relulens.data.vnnlib import read_property as read_property
    from relulens.graph.describe import describe as describe
    from relulens.graph.domain import Box as Box
    from relulens.graph.evaluate import evaluate as evaluate
    from relulens.graph.network import Network as Network
    from relulens.graph.property import Property as Property
    from relulens.graph.property import PropertyCase as PropertyCase
    from relulens.graph.tolerances import Tolerances as Tolerances
    from relulens.implicit.composition import add as add
    from relulens.implicit.composition import cascade as cascade
    from relulens.implicit.composition import multiply as multiply
    from relulens.implicit.composition import parallel as parallel
    from relulens.implicit.conversion import implicit_model as implicit_model
    from relulens.implicit.equilibrium import Equilibrium as Equilibrium
    from relulens.implicit.equilibrium import equilibrium as equilibrium
    from relulens.implicit.feedback import feedback as feedback
    from relulens.implicit.model import ImplicitModel as ImplicitModel
    from relulens.implicit.module import to_torch as to_torch
    from relulens.implicit.rescaling import rescaled as rescaled
    from relulens.implicit.storage import read_implicit_model as read_implicit_model
    from relulens.implicit.storage import write_implicit_model as write_implicit_model
    from relulens.implicit.wellposedness import WellPosedness as WellPosedness
    from relulens.implicit.wellposedness import wellposedness as wellposedness
    from relulens.importers.layers import from_layers as from_layers
    from relulens.importers.load import load as load
    from relulens.importers.refresh import refresh as refresh
    from relulens.importers.scikit_learn import from_sklearn as from_sklearn
    from relulens.importers.torch_export import from_torch as from_torch
    from relulens.local.affine_map import local_affine_map as local_affine_map
    from relulens.local.boundary import boundary_distance as boundary_distance
    from relulens.local.pattern import activation_pattern as activation_pattern
    from relulens.local.pattern_distance import pattern_distance as pattern_distance
    from relulens.local.polytope import region_polytope as region_polytope
    from relulens.local.spectrum import singular_values as singular_values
    from relulens.local.templates import templates as templates
    from relulens.preimage.enumeration import PreimagePieces as PreimagePieces
    from relulens.preimage.enumeration import preimage_pieces as preimage_pieces
    from relulens.preimage.frame_reconstruction import (
        FrameReconstruction as FrameReconstruction,
    )
    from relulens.preimage.frame_reconstruction import (
        frame_reconstruction as frame_reconstruction,
    )
    from relulens.preimage.geometry import Geometry as Geometry
    from relulens.preimage.geometry import preimage_geometry as preimage_geometry
    from relulens.preimage.injectivity import Injectivity as Injectivity
    from relulens.preimage.injectivity import injectivity as injectivity
    from relulens.preimage.omnidirectionality import (
        omnidirectionality as omnidirectionality,
    )
    from relulens.preimage.preimage import preimage as preimage
    from relulens.preimage.reconstruction import reconstruction as reconstruction
    from relulens.preimage.rectifying_bias import RectifyingBias as RectifyingBias
    from relulens.preimage.rectifying_bias import rectifying_bias as rectifying_bias
    from relulens.preimage.result import Preimage as Preimage
    from relulens.preimage.stability import stability as stability
    from relulens.preimage.twin import Twin as Twin
    from relulens.preimage.twin import twin as twin
    from relulens.regions.ball import regions_in_ball as regions_in_ball
    from relulens.regions.convexity import convexity as convexity
    from relulens.regions.enumeration import linear_regions as linear_regions
    from relulens.regions.max_affine import max_affine as max_affine
    from relulens.regions.max_affine import power_diagram as power_diagram
    from relulens.regions.partition import Partition as Partition
    from relulens.regions.plane import Plane as Plane
    from relulens.regions.segment import regions_on_segment as regions_on_segment
    from relulens.regions.slice import slice_partition as slice_partition
    from relulens.report.report import report as report
    from relulens.reversal.generative import GenerativeModel as GenerativeModel
    from relulens.reversal.likeness import random_likeness as random_likeness
    from relulens.reversal.reverse import generate as generate
    from relulens.reversal.reverse import reversal as reversal
    from relulens.robustness.attacks.attack import Attack as Attack
    from relulens.robustness.attacks.curve import AttackCurve as AttackCurve
    from relulens.robustness.attacks.curve import attack_curve as attack_curve
    from relulens.robustness.attacks.linear_program import (
        LinearProgramAttack as LinearProgramAttack,
    )
    from relulens.robustness.attacks.linear_program import (
        linear_program_attack as linear_program_attack,
    )
    from relulens.robustness.attacks.sparse import sparse_attack as sparse_attack
    from relulens.robustness.certified_accuracy import (
        CertifiedAccuracy as CertifiedAccuracy,
    )
    from relulens.robustness.certified_accuracy import (
        certified_accuracy as certified_accuracy,
    )
    from relulens.robustness.check_property import PropertyVerdict as PropertyVerdict
    from relulens.robustness.check_property import check_property as check_property
    from relulens.robustness.lipschitz.bracket import LipschitzBounds as LipschitzBounds
    from relulens.robustness.lipschitz.bracket import (
        lipschitz_bounds as lipschitz_bounds,
    )
    from relulens.robustness.lipschitz.local import local_lipschitz as local_lipschitz
    from relulens.robustness.lipschitz.slope_maximum import SlopeMaximum as SlopeMaximum
    from relulens.robustness.lipschitz.slope_maximum import (
        slope_maximum as slope_maximum,
    )
    from relulens.robustness.output_bounds import OutputBounds as OutputBounds
    from relulens.robustness.output_bounds import output_bounds as output_bounds
    from relulens.robustness.radius.certified import CertifiedRadius as CertifiedRadius
    from relulens.robustness.radius.certified import (
        certified_radius as certified_radius,
    )
    from relulens.robustness.sensitivity import Sensitivity as Sensitivity
    from relulens.robustness.sensitivity import sensitivity as sensitivity
    from relulens.survey.survey import survey as survey

# Public name -> the module it lives in; loaded on first use, because torch is slow.
_HOMES: dict[str, str] = {
    "Attack": "relulens.robustness.attacks.attack",
    "AttackCurve": "relulens.robustness.attacks.curve",
    "Box": "relulens.graph.domain",
    "CertifiedAccuracy": "relulens.robustness.certified_accuracy",
    "CertifiedRadius": "relulens.robustness.radius.certified",
    "Equilibrium": "relulens.implicit.equilibrium",
    "FrameReconstruction": "relulens.preimage.frame_reconstruction",
    "GenerativeModel": "relulens.reversal.generative",
    "Geometry": "relulens.preimage.geometry",
    "ImplicitModel": "relulens.implicit.model",
    "Injectivity": "relulens.preimage.injectivity",
    "Limits": "relulens.bounds.program_bounds",
    "LinearProgramAttack": "relulens.robustness.attacks.linear_program",
    "LipschitzBounds": "relulens.robustness.lipschitz.bracket",
    "Network": "relulens.graph.network",
    "OutputBounds": "relulens.robustness.output_bounds",
    "Partition": "relulens.regions.partition",
    "Plane": "relulens.regions.plane",
    "Preimage": "relulens.preimage.result",
    "PreimagePieces": "relulens.preimage.enumeration",
    "Property": "relulens.graph.property",
    "PropertyCase": "relulens.graph.property",
    "PropertyVerdict": "relulens.robustness.check_property",
    "RectifyingBias": "relulens.preimage.rectifying_bias",
    "Sensitivity": "relulens.robustness.sensitivity",
    "SlopeMaximum": "relulens.robustness.lipschitz.slope_maximum",
    "Tolerances": "relulens.graph.tolerances",
    "Twin": "relulens.preimage.twin",
    "WellPosedness": "relulens.implicit.wellposedness",
    "activation_pattern": "relulens.local.pattern",
    "add": "relulens.implicit.composition",
    "attack_curve": "relulens.robustness.attacks.curve",
    "boundary_distance": "relulens.local.boundary",
    "cascade": "relulens.implicit.composition",
    "certified_accuracy": "relulens.robustness.certified_accuracy",
    "certified_radius": "relulens.robustness.radius.certified",
    "check_property": "relulens.robustness.check_property",
    "convexity": "relulens.regions.convexity",
    "describe": "relulens.graph.describe",
    "equilibrium": "relulens.implicit.equilibrium",
    "evaluate": "relulens.graph.evaluate",
    "feedback": "relulens.implicit.feedback",
    "frame_reconstruction": "relulens.preimage.frame_reconstruction",
    "from_layers": "relulens.importers.layers",
    "from_sklearn": "relulens.importers.scikit_learn",
    "from_torch": "relulens.importers.torch_export",
    "generate": "relulens.reversal.reverse",
    "implicit_model": "relulens.implicit.conversion",
    "injectivity": "relulens.preimage.injectivity",
    "linear_program_attack": "relulens.robustness.attacks.linear_program",
    "linear_regions": "relulens.regions.enumeration",
    "lipschitz_bounds": "relulens.robustness.lipschitz.bracket",
    "load": "relulens.importers.load",
    "local_affine_map": "relulens.local.affine_map",
    "local_lipschitz": "relulens.robustness.lipschitz.local",
    "max_affine": "relulens.regions.max_affine",
    "multiply": "relulens.implicit.composition",
    "omnidirectionality": "relulens.preimage.omnidirectionality",
    "output_bounds": "relulens.robustness.output_bounds",
    "parallel": "relulens.implicit.composition",
    "pattern_distance": "relulens.local.pattern_distance",
    "power_diagram": "relulens.regions.max_affine",
    "preimage": "relulens.preimage.preimage",
    "preimage_geometry": "relulens.preimage.geometry",
    "preimage_pieces": "relulens.preimage.enumeration",
    "random_likeness": "relulens.reversal.likeness",
    "read_certificate": "relulens.certificates.file",
    "read_data": "relulens.data.read",
    "read_implicit_model": "relulens.implicit.storage",
    "read_property": "relulens.data.vnnlib",
    "reconstruction": "relulens.preimage.reconstruction",
    "rectifying_bias": "relulens.preimage.rectifying_bias",
    "refresh": "relulens.importers.refresh",
    "region_polytope": "relulens.local.polytope",
    "regions_in_ball": "relulens.regions.ball",
    "regions_on_segment": "relulens.regions.segment",
    "report": "relulens.report.report",
    "rescaled": "relulens.implicit.rescaling",
    "reversal": "relulens.reversal.reverse",
    "sensitivity": "relulens.robustness.sensitivity",
    "singular_values": "relulens.local.spectrum",
    "slice_partition": "relulens.regions.slice",
    "slope_maximum": "relulens.robustness.lipschitz.slope_maximum",
    "sparse_attack": "relulens.robustness.attacks.sparse",
    "stability": "relulens.preimage.stability",
    "survey": "relulens.survey.survey",
    "templates": "relulens.local.templates",
    "to_torch": "relulens.implicit.module",
    "twin": "relulens.preimage.twin",
    "wellposedness": "relulens.implicit.wellposedness",
    "write_certificate": "relulens.certificates.file",
    "write_implicit_model": "relulens.implicit.storage",
}
_ROOMS = ("errors", "plot", "training")

__all__ = [*_HOMES, *_ROOMS]


def __getattr__(name: str) -> object:
    """Load a public name on first use.

    Raises:
        AttributeError: There is no such name.
    """
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    if name in _ROOMS:
        return import_module(f"relulens.{name}")
    raise AttributeError(f"module 'relulens' has no attribute {name!r}")


def __dir__() -> list[str]:
    """Return the public names."""
    return sorted(__all__)


class _Package(ModuleType):
    """Keeps ``relulens.report`` the function when its package is loaded."""

    def __setattr__(self, name: str, value: object) -> None:
        """Set an attribute, unless it is a room that has a public name's name."""
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
