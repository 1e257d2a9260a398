"""Embed matplotlib figures in a page as SVG: no outside reference, no clashing id, colours that follow the theme."""

from __future__ import annotations

import io
import re

from markupsafe import Markup, escape
from matplotlib.figure import Figure

from hwsearch.reporting.style import THEME, laid_out

_HEAD = re.compile(r"^.*?<svg [^>]*?viewBox=\"(?P<box>[^\"]+)\"[^>]*>", re.DOTALL)
_METADATA = re.compile(r"<metadata>.*?</metadata>", re.DOTALL)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_COLOUR = re.compile(r"#[0-9a-f]{6}\b")
_EMPTY = re.compile(r"<(\w+)([^<>]*?)/>")


def inline_svg(figure: Figure, key: str, description: str) -> Markup:
    """Turn a figure into one ``<svg>`` element that can stand in a page.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        The figure.
    key : str
        Prefix that keeps ids apart on one page (letters, digits, dashes).
    description : str
        Read out instead of the drawing.

    Returns
    -------
    markupsafe.Markup
        The element, without outside references, its colours as CSS variables.
    """
    stream = io.StringIO()
    with laid_out(figure):
        figure.savefig(stream, format="svg", metadata={"Date": None}, transparent=True)
    text = stream.getvalue()
    head = _HEAD.match(text)
    assert head is not None  # matplotlib always writes one
    body = text[head.end() :]
    body = _COMMENT.sub("", _METADATA.sub("", body))
    body = re.sub(r'\bid="([^"]+)"', rf'id="{key}-\1"', body)
    body = re.sub(r'xlink:href="#([^"]+)"', rf'href="#{key}-\1"', body)
    body = re.sub(r"url\(#([^)]+)\)", rf"url(#{key}-\1)", body)
    body = _COLOUR.sub(_variable, body)
    body = _EMPTY.sub(r"<\1\2></\1>", body)
    body = re.sub(r"\n\s*", "\n", body)
    width = float(head["box"].split()[2])
    label = escape(description)
    return Markup(
        f'<svg viewBox="{head["box"]}" style="max-width: {width * 1.42:.0f}px" role="img" aria-label="{label}">{body.strip()}'
    )


def _variable(match: re.Match[str]) -> str:
    known = THEME.get(match[0])
    return f"var(--{known[0]})" if known else match[0]


def theme_css(dark: bool) -> str:
    """Write the CSS custom properties of the palette.

    Parameters
    ----------
    dark : bool
        For dark paper, else for light.

    Returns
    -------
    str
        The declarations.
    """
    return " ".join(f"--{name}: {night if dark else day};" for day, (name, night) in THEME.items())
