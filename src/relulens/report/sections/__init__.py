"""The sections of the report, one a file: each owns its figures and sentences."""

from relulens.report.section import Section
from relulens.report.sections.data import DATA
from relulens.report.sections.margins import MARGINS
from relulens.report.sections.overview import OVERVIEW
from relulens.report.sections.pieces import PIECES
from relulens.report.sections.preimage import PREIMAGE
from relulens.report.sections.reversal import REVERSAL
from relulens.report.sections.robustness import ROBUSTNESS
from relulens.report.sections.spectra import SPECTRA
from relulens.report.sections.templates import TEMPLATES

SECTIONS: dict[str, Section] = {
    section.name: section
    for section in (
        OVERVIEW,
        DATA,
        PREIMAGE,
        SPECTRA,
        TEMPLATES,
        PIECES,
        MARGINS,
        ROBUSTNESS,
        REVERSAL,
    )
}
"""All sections by name, in the page's order."""

__all__ = ["SECTIONS"]
