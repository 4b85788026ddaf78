"""What is recorded is read back exactly, also while it is written."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canari.errors import CanariError
from canari.gate.recording import Request, Tail, Writer, read, to_lines, to_table

numbers = st.floats(allow_nan=False, allow_infinity=False)
requests = st.builds(
    Request,
    arm=st.sampled_from(["baseline", "candidate", ""]),
    intended=numbers,
    delay_ms=numbers,
    queued_ms=numbers,
    latency_ms=numbers,
    status=st.integers(0, 599),
    version=st.none() | st.text(),
    error=st.none() | st.text(),
)


@given(st.lists(requests, max_size=5), st.data())
def test_a_reader_follows_however_the_file_grows(
    tmp_path_factory: pytest.TempPathFactory, given: list[Request], data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("recording")
    with Writer(folder / "whole") as writer:
        for start in range(0, len(given), 2):
            writer.write(to_lines(given[start : start + 2]))
    content = (folder / "whole").read_bytes()
    tail, seen = Tail(folder / "growing"), []
    assert tail.read() == []
    cuts = sorted(data.draw(st.lists(st.integers(0, len(content)), max_size=4)))
    for cut in [*cuts, len(content)]:
        (folder / "growing").write_bytes(content[:cut])
        seen += tail.read()
    assert seen == given == read(folder / "whole")


def test_a_table_is_in_the_order_of_due_times() -> None:
    late, early = (
        Request(arm="a", intended=at, delay_ms=0, queued_ms=0, latency_ms=at, status=200, error=error)
        for at, error in ((2.0, "no"), (1.0, None))
    )
    table = to_table([late, early])
    assert table.latency_ms.tolist() == [1.0, 2.0]
    assert table.failed.tolist() == [False, True]
    assert len(table.where(table.failed)) == 1
    assert len(to_table([])) == 0


@pytest.mark.parametrize("content", [b"{}\n", b"nonsense\n", b"\xff\xfe\n", b'{"arm": 3}\n'])
def test_a_damaged_recording_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "requests.ndjson"
    path.write_bytes(content)
    with pytest.raises(CanariError, match=r"requests\.ndjson: not a recording"):
        read(path)
    with pytest.raises(CanariError, match="no such recording"):
        read(tmp_path / "absent")
    with pytest.raises(CanariError, match="cannot be read"):
        read(tmp_path)


def test_the_damaged_line_is_told_also_of_a_file_that_grew(tmp_path: Path) -> None:
    path = tmp_path / "requests.ndjson"
    good = to_lines([Request(arm="baseline", intended=1.0, delay_ms=0, queued_ms=0, latency_ms=1, status=200)])
    path.write_bytes(good * 3)
    tail = Tail(path)
    assert len(tail.read()) == 3
    path.write_bytes(good * 4 + good[:20] + b"\n" + good)
    with pytest.raises(CanariError, match="in line 5: "):
        tail.read()
