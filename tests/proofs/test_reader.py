"""A sample of the mutations of files of R, and whether the proof would notice what it is there for."""

import gzip
import os
from pathlib import Path

import pytest

from canari.errors import IntakeError
from canari.intake import rds
from proofs import reader, results
from proofs.reader_cases import ReaderCases

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "tests" / "intake" / "rds" / "fixtures"
FILES = [
    ROOT / "models" / "diabetes" / "diabetes-2.rds",
    *(FIXTURES / name for name in ("several_none_3.RData", "several_ascii_3.RData", "environments_binary.rds", "others.rds")),
]


def test_a_file_is_imported_or_refused(tmp_path: Path) -> None:
    cases = 700
    found = reader.run(FILES, cases, 7, tmp_path / "reader.json", processes=1)
    assert found.next == sum(found.outcomes.values()) == sum(found.kinds.values()) == cases
    assert found.outcomes["refused by the reader"] > cases / 10
    assert found.outcomes["refused by the translation"] > cases / 20
    assert any(outcome.startswith("translated") for outcome in found.outcomes)
    assert results.load(tmp_path / "reader.json", reader.Found) == found


def test_a_process_that_ends_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "_judge_all", ending)
    with pytest.raises(results.ProofError, match="a process has ended at case 0 of --seed 7"):
        reader.run(FILES, 10, 7, tmp_path / "reader.json", processes=1)


def ending(_paths: list[Path], _seed: int, numbers: range, place: Path) -> None:
    place.write_text(str(numbers[0]))
    os.abort()


def test_a_case_is_made_from_its_number() -> None:
    files = {path.stem: path.read_bytes() for path in FILES}
    one, other = ReaderCases(files, 3), ReaderCases(files, 3)
    assert [one[n] for n in range(100)] == [other[n] for n in range(100)]
    assert len({one[n] for n in range(100)}) > 95


@pytest.fixture
def model() -> bytes:
    return FILES[0].read_bytes()


def test_another_exception_is_noticed(model: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    def leaking(*_: object) -> None:
        raise KeyError("terms")

    monkeypatch.setattr(reader, "read_r", leaking)
    found = reader.judge(model, 5)
    assert found.outcomes == {"wrong": 1}
    assert "KeyError in test_reader.py" in found.wrong[5]


def test_a_hang_is_noticed(model: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    def hanging(*_: object) -> None:
        while True:
            pass

    monkeypatch.setattr(reader, "_SECONDS", 0.2)
    monkeypatch.setattr(reader, "read_r", hanging)
    assert "takes longer than 0.2 s" in reader.judge(model, 5).wrong[5]


def test_memory_beyond_the_promise_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def greedy(_: bytes) -> None:
        bytearray(b"1") * (200 << 20)
        raise IntakeError("it cannot be read")

    monkeypatch.setattr(rds, "read_content", greedy)
    found = reader.judge(gzip.compress(b"X\n"), 5)
    assert "reading 22 bytes takes" in found.wrong[5]
    assert found.reading.value > 190 << 20


def test_a_refusal_must_be_a_sentence(model: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    def mumbling(*_: object) -> None:
        raise IntakeError("one\ntwo")

    monkeypatch.setattr(reader, "read_r", mumbling)
    assert "no sentence" in reader.judge(model, 5).wrong[5]


def test_an_empty_file_is_refused_like_any_other() -> None:
    assert reader.judge(b"", 0).outcomes == {"refused by the reader": 1}
