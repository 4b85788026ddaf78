"""Whether requests are traced: where the standard OTEL_ variables name a collector. Else nothing of OpenTelemetry is imported."""

import os
import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from canari.errors import UsageError
from canari.signature import Signature

if TYPE_CHECKING:
    from canari.serving.spans import Tracer

_TRACEPARENT = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?").fullmatch


def trace_id(traceparent: bytes | None) -> str | None:
    """The trace that a `traceparent` header (W3C Trace Context) names, 32 hexadecimal digits; None where it names none."""
    found = _TRACEPARENT(traceparent) if traceparent else None
    return found[1].decode() if found else None


def from_environment(signature: Signature, bento: str | None = None) -> "Tracer | None":
    """A tracer as the OTEL_ variables want it; None where they name no collector, or switch traces off.

    Raises `UsageError` for a value that none of them can have.
    """
    endpoint = _otlp("ENDPOINT")
    exporter = _variable("OTEL_TRACES_EXPORTER") or "otlp"
    if not endpoint or exporter == "none" or _variable("OTEL_SDK_DISABLED").lower() == "true":
        return None
    if exporter != "otlp":
        raise UsageError(f"OTEL_TRACES_EXPORTER={exporter!r}: expected otlp or none")
    protocol = _otlp("PROTOCOL") or "http/protobuf"
    if protocol not in ("http/protobuf", "grpc"):
        raise UsageError(f"OTEL_EXPORTER_OTLP_PROTOCOL={protocol!r}: expected http/protobuf or grpc")
    if protocol != "grpc" and not _is_url(endpoint):
        raise UsageError("OTEL_EXPORTER_OTLP_ENDPOINT: expected a URL like http://collector:4318")

    from canari.serving.spans import Tracer  # noqa: PLC0415  it imports OpenTelemetry

    try:
        return Tracer.sending(protocol, signature, bento)
    except ValueError as error:
        raise UsageError(f"an OTEL_ variable cannot have its value: {error}") from None


def _otlp(name: str) -> str:
    """A variable of the OTLP exporter, for traces or for everything."""
    return _variable(f"OTEL_EXPORTER_OTLP_TRACES_{name}") or _variable(f"OTEL_EXPORTER_OTLP_{name}")


def _variable(name: str) -> str:
    return os.environ.get(name, "").strip()


def _is_url(text: str) -> bool:
    try:
        url = urlsplit(text)
        return url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        return False
