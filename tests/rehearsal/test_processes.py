"""Processes end with the block that started them, with all that they started."""

import sys
import time
from pathlib import Path

import psutil
import pytest

from canari.errors import CanariError
from canari.rehearsal.processes import Process, check_memory, free_ports

STUBBORN_WITH_CHILD = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
print(child.pid, flush=True)
time.sleep(60)
"""


def runs(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_stubborn_process_and_its_child_are_ended(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with Process("the stubborn one", [sys.executable, "-c", STUBBORN_WITH_CHILD], log) as process:
        while not process.last_line:
            time.sleep(0.02)
        child = psutil.Process(int(process.last_line))
        assert process.memory > 1_000_000
        assert process.stop(grace=0.3) == -9
    deadline = time.monotonic() + 10  # a killed process is gone a moment later
    while runs(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not runs(child)
    assert process.ending.startswith("was killed by SIGKILL")


def test_ending_has_the_exit_code_and_the_last_words(tmp_path: Path) -> None:
    with Process("it", [sys.executable, "-c", "import sys; sys.exit('no more ink')"], tmp_path / "log") as process:
        while process.exit_code is None:
            time.sleep(0.02)
        assert process.ending == "exited with 1: no more ink"


def test_program_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CanariError, match="the pen does not start: /no/such/pen: No such file or directory"):
        Process("the pen", ["/no/such/pen"], tmp_path / "log")


def test_too_little_memory_is_said_with_both_numbers() -> None:
    check_memory(2**20, "a small thing")
    with pytest.raises(CanariError, match=r"not enough memory for a whale: it needs about \d+ MiB, \d+ MiB are free"):
        check_memory(2**60, "a whale")


def test_a_free_port_is_none_that_an_outgoing_connection_may_take() -> None:
    ports = free_ports(50)
    assert len(set(ports)) == 50
    assert max(ports) < int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
