"""A million malformed requests over REST and gRPC: none breaks the server, makes it grow, or puts a caller's values into a log.

    python -m proofs.fuzzing [--requests 1000000] [--seed 1]
    python -m proofs.fuzzing --seed 1 --case 4711

Three models are served, each by a process of its own that logs every request. Requests are made from the seed and a number; each
carries a text, and often a number, that must not appear in what the servers print, nor among their metrics. After every batch
a check row must be predicted as before the first. Interrupted and started again it goes on; --case repeats one request.
"""

import argparse
import asyncio
import re
import sys
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc  # type: ignore[import-untyped]
import httpx
import msgspec
import uvloop

from canari.errors import CanariError
from canari.model import Model
from canari.rehearsal.processes import stopping_on_signals
from proofs import grpc_caller, http_caller
from proofs.grpc_cases import GrpcCases
from proofs.http_caller import Judged
from proofs.http_cases import HttpCases
from proofs.mutations import MARKED
from proofs.results import OUT, ProofError, commit, listed, load, machine, save, write_section
from proofs.servers import Served, check_rows, models

_BATCH = 6_000
_EACH_GRPC = 5  # every fifth request goes over gRPC
_MOST_WRONG = 20  # are told before it is given up
_FEWEST_BATCHES = 16  # fewer say nothing: what is imported for the first Arrow file is among them
_MOST_GROWTH = 10e6  # bytes afterwards, which would be 30 a request

_MARKED = re.compile(MARKED)


class Memory(msgspec.Struct):
    """A server's memory in bytes after its batches, from its start on."""

    tag: str
    pss: list[int]


class Found(msgspec.Struct):
    """What was found so far."""

    seed: int
    commit: str
    next: int = 0  # the number of the next request
    refused: int = 0
    seconds: float = 0.0
    http: dict[str, int] = {}  # answers by status
    grpc: dict[str, int] = {}
    lines: int = 0  # of the logs
    dropped: int = 0  # lines that were lost
    memory: list[Memory] = []


class Target:
    """A served model, and what is known of it."""

    def __init__(self, model: Model, seed: int, log: Path) -> None:
        self.server = Served(model.signature.tag, log, "--access-log", "1", "--read-timeout", "1")
        self.http, self.grpc = HttpCases(model, seed), GrpcCases(model, seed)
        self.memory = Memory(model.signature.tag, [])
        self.lines = 0
        self.dropped = 0
        self._model = model
        self._read = 0  # bytes of the log
        self._prediction: Any = None

    def send(self, numbers: range) -> tuple[Judged, Judged]:
        """Send the requests of these numbers, over HTTP and gRPC in turn."""
        http = http_caller.send(
            self.server.http_port, self.server.grpc_port, ((n, self.http[n]) for n in numbers if n % _EACH_GRPC)
        )
        calls = ((n, self.grpc[n]) for n in numbers if n % _EACH_GRPC == 0)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return http, runner.run(grpc_caller.send(self.server.grpc_port, calls))

    def check(self) -> None:
        """Raise `ProofError` where it does not predict a check row as before, or tells what it must not."""
        if self.server.exit_code is not None:
            raise ProofError(f"{self.server.name} {self.server.ending}")
        with httpx.Client(base_url=self.server.url, timeout=20) as client:
            answer = client.post("/predict", json=check_rows(self._model)[:1])
            metrics = client.get("/metrics")
        if self._prediction is None:
            answer.raise_for_status()
            self._prediction = answer.json()
        if answer.json() != self._prediction:
            raise ProofError(f"{self.memory.tag} predicted {self._prediction}, and now {answer.text[:300]}")
        with grpc.insecure_channel(f"127.0.0.1:{self.server.grpc_port}") as channel:
            live = channel.unary_unary("/inference.GRPCInferenceService/ServerLive")(b"", timeout=20)
        if live != b"\x08\x01":
            raise ProofError(f"{self.memory.tag} is not live over gRPC: {live!r}")
        self._look(metrics.content, "/metrics")
        dropped = re.search(rb"^canari_log_lines_dropped_total\S* (\S+)$", metrics.content, re.MULTILINE)
        self.dropped = int(float(dropped[1])) if dropped else 0
        self.read_log()
        self.memory.pss.append(self.server.pss)

    def read_log(self) -> None:
        """Look at what it has printed since the last time; raises `ProofError` where there is a caller's value."""
        with self.server.log.open("rb") as log:
            log.seek(self._read)
            printed = log.read()
        self._read += len(printed)
        self.lines += printed.count(b"\n")
        self._look(printed, "its log")

    def _look(self, text: bytes, where: str) -> None:
        found = _MARKED.search(text)
        if found is not None:
            line = text[text.rfind(b"\n", 0, found.start()) + 1 :].partition(b"\n")[0]
            raise ProofError(f"{self.memory.tag}: a caller's value {found[0].decode()!r} is in {where}: {line[:1000]!r}")


def run(requests: int, seed: int, state: Path, batch: int = _BATCH) -> Found:
    """Send requests until so many were refused; raises `ProofError` where one of them was not answered as it should be."""
    found = load(state, Found)
    if found is None or (found.seed, found.commit) != (seed, commit()):
        found = Found(seed, commit())
    with ExitStack() as stack:
        stack.enter_context(stopping_on_signals())
        state.parent.mkdir(parents=True, exist_ok=True)
        logs = [state.with_name(f"{state.stem}-{number}.log") for number in range(3)]
        targets = [Target(m, seed, log) for m, log in zip(stack.enter_context(models()), logs, strict=True)]
        for target in targets:
            stack.enter_context(target.server)
        for target in targets:
            target.server.until_ready()
            target.check()
        earlier = list(found.memory), found.lines, found.dropped
        turn = 0
        while found.refused < requests:
            target = targets[turn % len(targets)]
            turn += 1
            began = time.monotonic()
            over_http, over_grpc = target.send(range(found.next, found.next + batch))
            _refuse_wrong(over_http.wrong | over_grpc.wrong, seed, turn - 1)
            target.check()
            found.seconds += time.monotonic() - began
            found.next += batch
            found.refused += over_http.refused + over_grpc.refused
            found.http = dict(over_http.statuses + Counter(found.http))
            found.grpc = dict(over_grpc.statuses + Counter(found.grpc))
            found.memory = earlier[0] + [t.memory for t in targets]
            found.lines = earlier[1] + sum(t.lines for t in targets)
            found.dropped = earlier[2] + sum(t.dropped for t in targets)
            save(state, found)
            print(f"{found.refused:,} of {requests:,} refused, {found.next / found.seconds:,.0f} requests a second", flush=True)
        for target in targets:
            if code := target.server.stop():
                raise ProofError(f"{target.memory.tag} exited with {code}")
            target.read_log()
    for log in logs:
        log.unlink()
    for memory in found.memory:
        if len(memory.pss) >= _FEWEST_BATCHES and grown(memory) > _MOST_GROWTH:
            raise ProofError(
                f"{memory.tag} grew by {grown(memory) / 1e6:.1f} MB, its PSS after each batch was {memory.pss}; "
                f"remove {state} to begin anew"
            )
    return found


def grown(memory: Memory) -> int:
    """By how many bytes a server grew from the second quarter of its batches, when it has settled, to the last (medians)."""
    return _quarter(memory, 3) - _quarter(memory, 1)


def repeat(seed: int, number: int, which: int) -> None:
    """Send one request to a server of its own, and print it and what came back."""
    with ExitStack() as stack:
        model = stack.enter_context(models())[which]
        target = Target(model, seed, OUT / "repeat.log")
        stack.enter_context(target.server)
        target.server.until_ready()
        print(target.grpc[number] if number % _EACH_GRPC == 0 else target.http[number])
        http, calls = target.send(range(number, number + 1))
        http.add(calls)
        print(http)
    print(target.server.log.read_text(errors="replace"))


def report(found: Found, command: str) -> str:
    """What was found, for a reader."""
    rows = [
        f"| {m.tag} | {len(m.pss) - 1} | {m.pss[0] / 1e6:.1f} | {_quarter(m, 1) / 1e6:.1f} | {_quarter(m, 3) / 1e6:.1f} "
        f"| {grown(m) / 1e6:+.1f} |"
        for m in found.memory
    ]
    table = "\n".join(
        ["| server | batches | start | second quarter | last quarter | growth |", "|---|---:|---:|---:|---:|---:|", *rows]
    )
    return f"""
`{command}`, commit {found.commit}, {machine()}.

Of {found.next:,} requests {found.refused:,} were refused, with one sentence in the protocol's error object or status; the others
were changed at random and still meant something. That took {found.seconds:,.0f} s, {found.next / found.seconds:,.0f} requests
a second, callers and servers on one machine.

- HTTP answers: {listed(found.http)}. (503 is for too much at a time.)
- gRPC statuses: {listed(found.grpc)}. (DEADLINE_EXCEEDED is for a deadline of half a millisecond.)
- No text and no number of a caller's in {found.lines:,} lines of log ({found.dropped:,} were dropped), nor among the metrics.
- After each batch the server predicted its check row as before, and at the end each exited with 0.

PSS in MB, after a server's start, and the medians over the second and the last quarter of its batches of {_BATCH:,} requests:

{table}
"""


def main() -> None:
    """Prove it, and write what was found into docs/proofs.md."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--requests", type=int, default=1_000_000, help="that must be refused (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="what the requests are made from (%(default)s)")
    parser.add_argument("--case", type=int, help="the number of one request to repeat")
    parser.add_argument("--model", type=int, default=0, choices=range(3), help="which model is to answer it")
    chosen = parser.parse_args()
    if chosen.case is not None:
        repeat(chosen.seed, chosen.case, chosen.model)
        return
    try:
        found = run(chosen.requests, chosen.seed, OUT / "fuzzing.json")
    except CanariError as error:
        sys.exit(f"not proved: {error}")
    command = f"python -m proofs.fuzzing --requests {chosen.requests} --seed {chosen.seed}"
    write_section("Malformed requests", report(found, command))


def _refuse_wrong(wrong: dict[int, str], seed: int, turn: int) -> None:
    if wrong:
        lines = [f"python -m proofs.fuzzing --seed {seed} --model {turn % 3} --case {n}: {what}" for n, what in wrong.items()]
        raise ProofError("\n".join([f"{len(wrong)} requests were not answered as they should be:", *lines[:_MOST_WRONG]]))


def _quarter(memory: Memory, number: int) -> int:
    """The median of a quarter of a server's batches, counted from 0."""
    size = len(memory.pss) / 4
    part = sorted(memory.pss[int(number * size) : int((number + 1) * size)] or memory.pss[-1:])
    return part[len(part) // 2]


if __name__ == "__main__":
    main()
