"""A coverage-guided search (atheris, libFuzzer) for bytes that the reader of R's files does not take as it should.

    python -m proofs.reader_coverage [--seconds 600]

It starts from small real files and keeps in out/proofs/reader-corpus what reaches new code, also for the next time. What is
read is looked at through every accessor; whatever raises anything but `IntakeError`, takes longer than 10 s or more than 1 GB
ends the search with 1, and is left there as crash-*. Atheris is built for Linux on x86-64 only.
"""

import argparse
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress

from proofs.results import OUT, ROOT, commit, machine, write_section

_FIXTURES = ROOT / "tests" / "intake" / "rds" / "fixtures"
_CORPUS = OUT / "reader-corpus"
_ACCESSORS = ("names", "classes", "levels", "dim", "dimnames", "doubles", "strings", "matrix", "missing", "items", "__repr__")


def seeds() -> Iterator[tuple[str, bytes]]:
    """Real files without their compression, which would hide the format from the search; and some with it."""
    from canari.intake.rds.decompress import decompress  # noqa: PLC0415  the search must be the first to import it

    for path in sorted((*_FIXTURES.glob("*.rds"), *_FIXTURES.glob("*.RData"))):
        data = path.read_bytes()
        if re.search("_(ascii|native|none)_|(others|environments)", path.name):
            yield path.name, bytes(decompress(data, 1 << 24))
        elif "_3." in path.name:
            yield path.name, data


def search(arguments: list[str]) -> None:
    """Run libFuzzer in this process; it does not return."""
    import atheris  # type: ignore[import-untyped]  # noqa: PLC0415  only this needs it

    with atheris.instrument_imports(include=["canari.intake.rds"]):
        from canari.errors import IntakeError  # noqa: PLC0415  it must be imported here to be instrumented
        from canari.intake import rds  # noqa: PLC0415

    def one(data: bytes) -> None:
        try:
            content = rds.read_content(data)
        except IntakeError:
            return
        waiting = [content.root] if content.root is not None else list((content.objects or {}).values())
        rds.size(*waiting)
        for found in waiting:
            for name in _ACCESSORS:
                with suppress(IntakeError):
                    value = getattr(found, name)
                    list(value() if name == "items" else [value() if callable(value) else value])
            with suppress(IntakeError):
                found.lookup(next(iter(found.names), "x"))
            if found.type == "list" and len(waiting) < 200:  # while it is walked
                waiting += found.value

    atheris.Setup([sys.argv[0], *arguments], one)
    atheris.Fuzz()


def main() -> None:
    """Search, and write how far it came into docs/proofs.md."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=int, default=600, help="default: %(default)s")
    parser.add_argument("--libfuzzer", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.libfuzzer is not None:
        search(chosen.libfuzzer)
    _CORPUS.mkdir(parents=True, exist_ok=True)
    for name, data in seeds():
        (_CORPUS / name).write_bytes(data)
    limits = [f"-max_total_time={chosen.seconds}", "-timeout=10", "-rss_limit_mb=1000", "-max_len=8192", "-use_value_profile=1"]
    command = [sys.executable, "-m", "proofs.reader_coverage", "--libfuzzer", str(_CORPUS), *limits]
    log = OUT / "reader-coverage.log"
    with log.open("w") as output:
        code = subprocess.run(
            [*command, f"-artifact_prefix={_CORPUS.parent}/", "-print_final_stats=1"], check=False, cwd=ROOT, stderr=output
        ).returncode
    found = log.read_text(errors="replace")
    if code:
        sys.exit(f"not proved, see {log}:\n{found[-3000:]}")
    write_section("Files of R by coverage", report(found, f"python -m proofs.reader_coverage --seconds {chosen.seconds}"))


def report(log: str, command: str) -> str:
    """What libFuzzer says of itself, for a reader."""

    def last(name: str) -> str:
        found = re.findall(rf"{name}:\s+(\d+)", log)
        return f"{int(found[-1]):,}" if found else "?"

    executed, covered, memory = last("number_of_executed_units"), last("cov"), last("peak_rss_mb")
    files = sum(1 for _ in _CORPUS.iterdir())
    return f"""
`{command}`, commit {commit()}, {machine()}.

libFuzzer ran {executed} inputs through the reader and the accessors, guided by what they reach: {covered} places in the code,
from {files:,} inputs that it kept. No input raised anything but the one error that a person is told, none took longer than
10 s; the process took {memory} MB at most.
"""


if __name__ == "__main__":
    main()
