"""HOST:PORT, where a gate and its workers meet."""

from canari.errors import UsageError


def parse_address(text: str) -> tuple[str, int]:
    """Host and port; raises `UsageError` for anything but HOST:PORT."""
    host, _, port = text.rpartition(":")
    if not (host and port.isascii() and port.isdecimal() and 0 < int(port) < 2**16):
        raise UsageError(f"expected HOST:PORT such as 127.0.0.1:5557, came {text!r}")
    return host, int(port)
