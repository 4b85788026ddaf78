"""Request ids: the caller's own where it can stand in a header and a log line, else one that nobody else has."""

import os
import re
import subprocess
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from canari.serving.request_id import request_id


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=128))
def test_a_visible_id_of_the_callers_is_kept(text: str) -> None:
    assert request_id(text.encode()) == text.encode()


@given(st.binary(max_size=300))
@example(b"two words")
@example(b"line\nbreak")
@example(b"ends\n")
@example(b"\xc3\xa9")
@example(b"a" * 129)
@example(b"")
def test_any_other_is_replaced(sent: bytes) -> None:
    answered = request_id(sent)
    if not (1 <= len(sent) <= 128 and all(0x21 <= byte <= 0x7E for byte in sent)):
        assert re.fullmatch(rb"[0-9a-f]{32}", answered)
        assert answered != sent


def test_ids_differ_within_a_process_and_between_processes() -> None:
    script = "from canari.serving.request_id import request_id\nfor _ in range(1000): print(request_id(None).decode())"
    elsewhere = [subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, timeout=60) for _ in range(2)]
    here = [request_id(None) for _ in range(1000)]
    assert len({*here, *(line for process in elsewhere for line in process.stdout.split())}) == 3000


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_fork_does_not_repeat_its_parents_ids() -> None:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, request_id(None))
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        assert pipe.read()[:16] != request_id(None)[:16]
