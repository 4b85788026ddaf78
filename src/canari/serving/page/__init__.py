"""The page at `/` to try the model: one HTML file with everything in it, made when the server starts."""

import base64
import hashlib
import html
from pathlib import Path

import msgspec

from canari.serving.http import Answer
from canari.serving.openapi import example_row
from canari.signature import Signature

_FOLDER = Path(__file__).parent


def page(signature: Signature, *, docs: bool = False) -> Answer:
    """The page for one model. It may run its own scripts and talk to its own server, nothing else.

    `docs` says whether the server has a /docs.json, BentoML's description of the service around the model.
    """
    content, style, code, script = (
        (_FOLDER / name).read_text("utf-8") for name in ("page.html", "page.css", "code.js", "page.js")
    )
    # The model's own texts come last, so that no marker is looked for in them.
    for marker, text in (
        ("{style}", style),
        ("{code}", code),
        ("{script}", script),
        ("{docs}", ' <a href="docs.json">Service</a>' if docs else ""),
        ("{title}", html.escape(f"{signature.name} {signature.version}")),
        ("{model}", _embedded({"signature": signature, "example": example_row(signature)})),
    ):
        content = content.replace(marker, text, 1)
    policy = (
        f"default-src 'none'; script-src {_hash(code)} {_hash(script)}; style-src {_hash(style)}; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    headers = (
        (b"content-security-policy", policy.encode()),
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"no-referrer"),
        (b"cache-control", b"no-store"),  # nor does a browser keep what was typed
    )
    return Answer(content.encode(), 200, b"text/html; charset=utf-8", headers)


def _embedded(content: object) -> str:
    """JSON that may stand in a script element: whatever the names are, it does not end there."""
    text = msgspec.json.encode(content).decode()
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _hash(content: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"
