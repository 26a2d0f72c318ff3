"""Build a section, or say why there was no time for it."""

import logging
import time

from relulens.report.context import ReportContext
from relulens.report.section import Section, SectionContent

_LOG = logging.getLogger("relulens")

LONG = 15.0
"""Sections that may take more seconds than this need them left in the budget."""


def built(section: Section, context: ReportContext) -> SectionContent:
    """Return what a section found; a long one is left out if the budget is used up.

    Args:
        section: The section.
        context: What it may read.
    """
    left = context.seconds_left()
    if section.seconds > LONG and left < section.seconds:
        reason = (
            f"{section.name}: left out, since {left:.0f} s of the budget are left and"
            f" it may take {section.seconds:.0f} s. The same command with a larger"
            " budget writes it; answers that are there are not computed again."
        )
        return SectionContent(
            sentences=("There was no time for this section.",), check="", undone=reason
        )
    begun = time.monotonic()
    content = section.build(context)
    took = time.monotonic() - begun
    log = _LOG.warning if took > 2 * section.seconds + 5 else _LOG.info
    log("section %s took %.1f s of %.1f", section.name, took, section.seconds)
    return content
