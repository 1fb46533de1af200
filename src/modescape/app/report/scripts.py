"""The scripts of a page that has a surface to turn, and the policy that lets a browser run those alone."""

import base64
import json
from hashlib import sha256
from importlib.resources import files
from typing import Any, NamedTuple

from markupsafe import Markup

BUNDLE = "vendor/plotly-gl3d.min.js"
DIGEST = "aab04dcd9c103a92b18723f8c837712fe820f325d0bcd2421e415e8124a75b9f"
"""SHA-256 of the bundle. The page's policy is made from it: a browser refuses a bundle that is not this one."""

_DRAWING = "surface.js"
# What would end the element that the text stands in, or begin another; JSON reads it as the same text.
_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}


class Script(NamedTuple):
    """A script as it stands in the page, and the digest by which a browser knows it."""

    text: Markup
    digest: bytes


def surface_scripts() -> tuple[Script, ...]:
    """The vendored bundle, then our own drawing."""
    bundle, drawing = (files(__package__).joinpath(name).read_bytes() for name in (BUNDLE, _DRAWING))
    return (
        Script(Markup(bundle.decode("utf-8")), bytes.fromhex(DIGEST)),
        Script(Markup(drawing.decode("utf-8")), sha256(drawing).digest()),
    )


def policy(scripts: tuple[Script, ...]) -> Markup:
    """The content security policy: nothing is loaded, and no script runs but these."""
    parts = ["default-src 'none'", "style-src 'unsafe-inline'", "img-src data:"]
    if scripts:
        hashes = (f"'sha256-{base64.b64encode(script.digest).decode('ascii')}'" for script in scripts)
        parts.append(f"script-src {' '.join(hashes)}")
    return Markup("; ".join([*parts, "base-uri 'none'", "form-action 'none'"]))


def as_data(value: Any) -> Markup:
    """JSON that can stand inside a script element whatever texts it holds."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for character, escape in _ESCAPES.items():
        text = text.replace(character, escape)
    return Markup(text)
