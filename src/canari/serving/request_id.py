"""The name of one request, in its answer, its log line and its trace: the caller's own, or a new one."""

import os
import re
from itertools import count

_OWN = re.compile(rb"[\x21-\x7e]{1,128}").fullmatch


def _new_prefix() -> None:
    """Set what tells this process's ids from any other's: 64 random bits, drawn again after a fork."""
    global _format, _numbers  # noqa: PLW0603  they belong to the process
    _format = os.urandom(8).hex().encode() + b"%016x"
    _numbers = count(1)


_format: bytes
_numbers: "count[int]"
_new_prefix()
os.register_at_fork(after_in_child=_new_prefix)


def request_id(given: bytes | None) -> bytes:
    """The caller's own id where it is 1 to 128 visible ASCII characters, else a new one.

    A new one is 32 hexadecimal digits, as a trace id of W3C Trace Context is.
    """
    if given is not None and _OWN(given):
        return given
    return _format % next(_numbers)
