"""The tests of the protocols with many more examples than `make test` has time for.

python -m proofs.conformance [--examples 2000]
"""

import argparse
import os
import subprocess
import sys
import time

from proofs.results import ROOT, commit, machine, write_section

_TESTS = "tests/serving/test_conformance.py"


def main() -> None:
    """Run them, and write what was found into docs/proofs.md."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--examples", type=int, default=2_000, help="of each operation (%(default)s)")
    chosen = parser.parse_args()
    began = time.monotonic()
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--timeout", "0", _TESTS]
    environment = {**os.environ, "CANARI_CONFORMANCE_EXAMPLES": str(chosen.examples)}
    ran = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    print(ran.stdout)
    if ran.returncode:
        sys.exit(ran.returncode)
    text = (
        f"`python -m proofs.conformance --examples {chosen.examples}`, commit {commit()}, {machine()}.\n\n"
        f"`{_TESTS}` with {chosen.examples} examples of each operation: {ran.stdout.strip().splitlines()[-1].strip('= ')} "
        f"({time.monotonic() - began:,.0f} s)."
    )
    write_section("Conformance", text)


if __name__ == "__main__":
    main()
