"""A load from several processes: real workers of `canari gate worker`, one after the other gate, lost, or of another version."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from canari import __version__
from canari.cli import cli
from canari.errors import UsageError
from canari.gate.address import parse_address
from canari.gate.recording import read, to_table
from tests.gate.faulty import server
from tests.gate.test_load import a_plan, assert_one_record_for_each_arrival, free_port, loading, wait_for_requests

pytestmark = pytest.mark.alone

IMPATIENT = """
from canari.gate import load, workers
workers._COMING_SECONDS = 5.0
raise SystemExit(load.main())
"""
OTHER_VERSION = "import canari; canari.__version__ = '0.0.1'; from canari.gate.workers import main; raise SystemExit(main())"


@contextmanager
def worker(master: str, *command: str) -> Iterator[subprocess.Popen[str]]:
    """One that says what it does; it is killed in the end, if it has not ended."""
    words = [*(command or ("-m", "canari", "gate", "worker", "--master")), master]
    with subprocess.Popen([sys.executable, *words], stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


class Crew:
    """Two workers of gates that listen at `bind`, whom the cases share: they serve one gate after the other."""

    def __init__(self, stack: ExitStack) -> None:
        self.bind = f"127.0.0.1:{free_port()}"
        self._stack = stack
        self.workers: list[subprocess.Popen[str]] = []

    def complete(self) -> "Crew":
        """In place of one that was lost, another."""
        self.workers = [one for one in self.workers if one.poll() is None]
        while len(self.workers) < 2:
            self.workers.append(self._stack.enter_context(worker(self.bind)))
        return self

    def said(self) -> list[str]:
        """The next line of each."""
        return [one.stdout.readline() for one in self.workers if one.stdout]


@pytest.fixture(scope="module")
def shared_crew() -> Iterator[Crew]:
    with ExitStack() as stack:
        yield (crew := Crew(stack).complete())
        alive = [one for one in crew.workers if one.poll() is None]
        for one in alive:
            one.send_signal(signal.SIGTERM)
        assert {one.wait(30) for one in alive} == {0}


@pytest.fixture
def crew(shared_crew: Crew) -> Crew:
    return shared_crew.complete()


def test_two_workers_send_what_one_generator_would(tmp_path: Path, crew: Crew) -> None:
    locustfile = tmp_path / "mine.py"  # which the workers do not have
    locustfile.write_text(
        "from canari.gate.user import PredictUser\nclass Mine(PredictUser):\n    headers = {'x-canari-synthetic': '1'}\n"
    )
    with server("marked") as url:
        plan = a_plan(tmp_path, url, workers=2, bind=crew.bind, locustfile=str(locustfile))
        with loading(plan) as process:
            load = process.end()
    assert load.duration_s == plan.duration_s
    assert load.cpu > 0
    assert_one_record_for_each_arrival(plan, load)
    table = to_table(read(Path(plan.recording)))
    assert not table.failed.any()
    assert sum(int(line.split()[1]) for line in crew.said()) == len(table)


def test_the_gate_ends_its_workers_arrivals_early(tmp_path: Path, crew: Crew) -> None:
    with server("late", 0.3) as url:
        plan = a_plan(tmp_path, url, workers=2, bind=crew.bind, duration_s=600.0)
        with loading(plan) as process:
            wait_for_requests(plan, 50)
            process.process.send_signal(signal.SIGTERM)
            load = process.end()
    assert load.duration_s < 60
    table = to_table(read(Path(plan.recording)))
    assert not table.failed.any()
    # Each worker ended when it heard of it, within a moment of the other.
    assert load.asked == {arm: ((table.arm == arm) & (table.intended >= load.measured_from)).sum() for arm in load.asked}
    assert all(line.startswith("sent ") for line in crew.said())


def test_what_a_lost_worker_did_not_send_was_asked_for_and_is_missing(tmp_path: Path, crew: Crew) -> None:
    with server() as url:
        plan = a_plan(tmp_path, url, workers=2, bind=crew.bind, duration_s=3.0)
        with loading(plan) as process:
            wait_for_requests(plan, 50)
            crew.workers[0].kill()
            load = process.end()
    assert load.duration_s == 3.0
    table = to_table(read(Path(plan.recording)))
    table = table.where(table.intended >= load.measured_from)
    for arm, asked in load.asked.items():
        assert asked == pytest.approx(100 * (3.0 - 0.2), abs=80)
        assert asked / 2 * 0.7 < (table.arm == arm).sum() < asked * 0.9  # half of the rate came whole
    assert (table.intended > load.started + 2.5).sum() > 20


def test_workers_that_do_not_come_and_those_of_another_version_are_told_of(tmp_path: Path) -> None:
    bind = f"127.0.0.1:{free_port()}"
    why = f"a worker of canari 0.0.1 cannot send the load of a gate of canari {__version__}"
    with ExitStack() as stack:
        url = stack.enter_context(server())
        stack.enter_context(worker(bind))
        old = stack.enter_context(worker(bind, "-c", OTHER_VERSION))
        process = stack.enter_context(loading(a_plan(tmp_path, url, workers=2, bind=bind), "-c", IMPATIENT))
        assert process.failed() == f"1 of 2 workers came to {bind} within 5 s; {why}\n"
        assert old.stdout
        assert old.stdout.readline() == f"{why}\n"
        assert old.poll() is None


@pytest.mark.parametrize("text", ["", "5557", "host:", ":5557", "host:0", "host:65536", "host:²", "host:5557x"])
def test_an_address_is_host_and_port(text: str) -> None:
    with pytest.raises(UsageError, match="HOST:PORT"):
        parse_address(text)
    assert parse_address("[::1]:5557") == ("[::1]", 5557)


def test_the_command_line_names_the_option_that_is_no_address() -> None:
    for words in (["worker", "--master", "gate"], ["run", "--bind", "5557"]):
        with pytest.raises(UsageError, match=f"{words[1]}: expected HOST:PORT such as 127.0.0.1:5557, came '{words[2]}'"):
            cli.main(["gate", *words], standalone_mode=False)
