"""Figures as bytes that depend on nothing but what is drawn."""

from io import BytesIO
from typing import Any

from matplotlib.figure import Figure

from modescape.app.report.figures.style import look

DOTS_PER_INCH = 160

# Without these, the date and the version of the drawing library would make equal figures differ.
_METADATA: dict[str, dict[str, Any]] = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}


@look()
def encode(figure: Figure, form: str) -> bytes:
    """The figure as a PNG or an SVG file."""
    stream = BytesIO()
    figure.savefig(stream, format=form, dpi=DOTS_PER_INCH, metadata=_METADATA[form])
    return stream.getvalue()
