"""Child processes that never outlive the rehearsal."""

import os
import random
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from canari.errors import CanariError

_LOOPBACK = "127.0.0.1"
# From 30000 on a cluster has its NodePorts, from 32768 on Linux takes some for outgoing connections.
_PORTS = range(10_000, 30_000)


class Process:
    """A program in a session of its own, so that Ctrl-C reaches only us and we end it, with all that it started.

    Use it as a context manager; what it prints goes to `log`.
    """

    def __init__(self, name: str, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None) -> None:
        self.name = name
        self.log = log
        try:
            with log.open("wb") as output:
                self._popen = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    env={**os.environ, **(environment or {})},
                )
        except OSError as error:
            raise CanariError(f"{name} does not start: {command[0]}: {error.strerror}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    @property
    def exit_code(self) -> int | None:
        """How it ended, negative for a signal; None while it runs."""
        return self._popen.poll()

    @property
    def ending(self) -> str:
        """How it ended, in words, with the last line that it printed."""
        code = self.exit_code
        if code is None:
            return "still runs"
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with {code}"
        return f"{how}: {self.last_line}" if self.last_line else how

    @property
    def last_line(self) -> str:
        """The last line that it printed, "" for none."""
        with suppress(OSError):
            lines = self.log.read_text(errors="replace").strip().splitlines()
            return lines[-1].strip()[:300] if lines else ""
        return ""

    @property
    def memory(self) -> int:
        """Resident bytes of the program and all that it started; 0 once it has ended."""
        total = 0
        with suppress(psutil.Error):
            root = psutil.Process(self._popen.pid)
            for process in (root, *root.children(recursive=True)):
                with suppress(psutil.Error):
                    total += process.memory_info().rss
        return total

    def stop(self, grace: float = 10.0) -> int:
        """Ask it to end, insist after `grace` seconds, and end whatever it left behind; returns the exit code."""
        family = self._family()
        if self._popen.poll() is None:
            self._signal_group(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self._popen.wait(grace)
        self._signal_group(signal.SIGKILL)
        for process in family:
            with suppress(psutil.Error):
                process.kill()
        return self._popen.wait()

    def _family(self) -> list[psutil.Process]:
        with suppress(psutil.Error):
            return psutil.Process(self._popen.pid).children(recursive=True)
        return []

    def _signal_group(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._popen.pid, number)


@contextmanager
def stopping_on_signals() -> Iterator[None]:
    """Turn SIGTERM and SIGHUP into the KeyboardInterrupt that Ctrl-C is, so that every `with` block is left in order.

    SIGINT too, which a shell lets its background jobs ignore; a SIGHUP that nohup lets us ignore stays ignored.
    """

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    heard = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        heard.append(signal.SIGHUP)
    before = {number: signal.signal(number, interrupt) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Let nothing interrupt the stopping of processes: an impatient second Ctrl-C would leave some behind."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def free_ports(count: int) -> list[int]:
    """Ports of the loopback address that nothing listens on now.

    Below those that systems give to outgoing connections, one of which might take a port before its server does.
    """
    sockets: list[socket.socket] = []
    try:
        for port in random.sample(_PORTS, len(_PORTS)):
            if len(sockets) == count:
                break
            one = socket.socket()
            sockets.append(one)
            try:
                one.bind((_LOOPBACK, port))
            except OSError:
                sockets.pop().close()
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def check_memory(needed: int, what: str) -> None:
    """Raise `CanariError` where less than `needed` bytes are free for `what`."""
    free = psutil.virtual_memory().available
    with suppress(OSError, ValueError):  # a container's limit, where there is one
        limit = int(Path("/sys/fs/cgroup/memory.max").read_text())
        free = min(free, limit - int(Path("/sys/fs/cgroup/memory.current").read_text()))
    if free < needed:
        raise CanariError(
            f"not enough memory for {what}: it needs about {needed / 2**20:.0f} MiB, {max(free, 0) / 2**20:.0f} MiB are free"
        )
