"""`python -m proofs`: all the long proofs, one after the other. One that fails does not keep the others from being run."""

import subprocess
import sys

from proofs.results import ROOT

_PROOFS = ("conformance", "random_formulas", "rolling_stop", "reader_coverage", "fuzzing", "reader", "gate")  # the shortest first


def main() -> None:
    """Run them, each a process of its own; ends with 1 where one has failed."""
    failed = []
    for proof in _PROOFS:
        print(f"== {proof}", flush=True)
        if subprocess.run([sys.executable, "-m", f"proofs.{proof}"], cwd=ROOT, check=False).returncode:
            failed.append(proof)
    if failed:
        sys.exit(f"not proved: {', '.join(failed)}")


if __name__ == "__main__":
    main()
