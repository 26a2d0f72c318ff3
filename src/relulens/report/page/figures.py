"""Put a section's figures into the page."""

import base64
import re

from markupsafe import Markup, escape

from relulens.plot.theme import THEMED
from relulens.report.section import Figure

_STYLE = re.compile(r"<style.*?</style>", re.DOTALL)
_PROLOGUE = re.compile(r"^.*?(?=<svg\b)", re.DOTALL)
_METADATA = re.compile(r"<metadata>.*?</metadata>", re.DOTALL)
_IDENTIFIER = re.compile(r'(\bid="|href="#|url\(#)')
_SIZE = re.compile(r'<svg\b[^>]*?\bwidth="([\d.]+)pt"')


def figure_markup(figure: Figure, name: str) -> Markup:
    """Return the HTML of a figure, without its caption.

    Args:
        figure: The figure.
        name: A name that no other figure of the page has, for identifiers.
    """
    match figure.format:
        case "svg":
            return inline_svg(figure.content, name, figure.alt)
        case "png":
            return Markup('<img class="picture" src="{}" alt="{}">').format(
                data_uri(figure.content), figure.alt
            )
        case "html":
            return Markup(figure.content.decode())


def data_uri(png: bytes) -> str:
    """Return the bytes of a PNG file as an address that holds them."""
    return "data:image/png;base64," + base64.b64encode(png).decode()


def inline_svg(svg: bytes, name: str, alt: str) -> Markup:
    """Return a drawing as part of the page, in the page's colours.

    Its style sheet would hold for the whole page and is left to the page's own;
    identifiers get the figure's name in front, since a page may hold each once.

    Args:
        svg: The drawing, trusted.
        name: A name that no other drawing of the page has.
        alt: What it shows, for those who do not see it.
    """
    plain = _PROLOGUE.sub("", svg.decode(), count=1)
    text = _METADATA.sub("", _STYLE.sub("", plain))
    text = _IDENTIFIER.sub(rf"\g<1>{name}-", text)
    for colour, variable in THEMED.items():
        text = text.replace(colour, f"var({variable})")
    width = _SIZE.search(text)
    natural = "" if width is None else f' style="--width:{float(width[1]):.0f}pt"'
    label = f'<svg role="img" aria-label="{escape(alt)}" class="drawing"{natural}'
    return Markup(text.replace("<svg", label, 1))
