"""A number on the command line that no load can have is refused before anything is asked or written."""

from pathlib import Path

import pytest

from canari.cli import main

RULES = "format: 1\nload: {rate: 1000}\nrules: {p95: {max_ms: 100}}\n"
NOWHERE = "http://127.0.0.1:1"


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("gate run --duration nan", "'nan' is not a finite number"),
        ("gate run --duration inf", "not in the range 0<x<=86400"),
        ("gate run --duration 0", "not in the range 0<x<=86400"),
        (
            "gate run --duration 3000",
            "1000 requests a second for 3000 s are 3,000,000 to each of the two: expected at most 2,000,000",
        ),
        ("gate plan --excess inf", "'inf' is not a finite number"),
        ("gate plan --power nan", "'nan' is not a finite number"),
        ("loadtest --duration 1e300", "not in the range 0<x<=604800"),
        ("loadtest --rate inf", "not in the range 0<x<=100000"),
        ("rehearse --time-scale nan", "'nan' is not a finite number"),
        ("rehearse --caller-rate inf", "not in the range 1<=x<=100000"),
    ],
)
def test_a_number_that_cannot_be_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path, command: str, says: str) -> None:
    rules, out = tmp_path / "rules.yaml", tmp_path / "out"
    rules.write_text(RULES)
    gate = ["--baseline", NOWHERE, "--candidate", NOWHERE, "--rules", str(rules), "--out", str(out)]
    more = {
        "gate run": gate,
        "gate plan": gate,
        "loadtest": [NOWHERE, "--scenario", "steady", "--out", str(out)],
        "rehearse": ["--stable", "a:1", "--candidate", "a:2", "--out", str(out)],
    }
    words = command.split()
    with pytest.raises(SystemExit) as end:
        main([*words[:-2], *more[" ".join(words[:-2])], *words[-2:]])
    assert end.value.code == 2
    assert says in capsys.readouterr().err
    assert not out.exists()
