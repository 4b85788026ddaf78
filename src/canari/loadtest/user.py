"""Locust users who send a scenario over REST or gRPC.

Importing this module imports Locust, which patches the standard library for gevent.
"""

# ruff: noqa: I001 - Locust first: it patches what the others import
from canari.gate.user import OpenLoopUser
from canari.gate.client import Endpoint
from locust.exception import CatchResponseError

import time
from collections.abc import Iterator
from functools import partial
from itertools import cycle
from random import Random
from typing import Any, ClassVar, NamedTuple

from canari.gate import answers
from canari.gate.arrivals import stream
from canari.loadtest.payloads import Payload, Pool, encoder
from canari.loadtest.plan import Plan
from canari.loadtest.target import address


class ScenarioUser(OpenLoopUser):
    """Sends the requests of a plan when they are due."""

    abstract = True

    plan: ClassVar[Plan]
    payloads: ClassVar[Pool | Iterator[Payload]]

    def on_start(self) -> None:
        """The rows are the plan's."""

    def offsets(self) -> Iterator[float]:
        """As the plan says."""
        return self.plan.offsets()

    def pick(self, random: Random) -> Payload:
        """The next recorded request, or one of random rows."""
        return self.payloads.pick(random) if isinstance(self.payloads, Pool) else next(self.payloads)


class RestUser(ScenarioUser):
    """Posts rows, and checks that one prediction a row came."""

    abstract = True

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self._endpoint = Endpoint(self.client, self.plan.scenario.path, {"Content-Type": "application/json"})

    def call(self, payload: Payload) -> None:
        """One request."""
        self._endpoint.post(payload.body, partial(answers.predictions, rows=payload.rows))


class _Said(NamedTuple):
    """An answer over gRPC as Locust's listeners know answers."""

    status_code: int
    headers: dict[str, str]


class GrpcUser(ScenarioUser):
    """Calls ModelInfer of the Open Inference Protocol over one connection, and checks that one prediction a row came."""

    abstract = True

    def __init__(self, environment: Any) -> None:
        import grpc.experimental.gevent  # type: ignore[import-untyped]  # noqa: PLC0415 - REST needs no gRPC

        from canari.loadtest import grpc_calls  # noqa: PLC0415

        grpc.experimental.gevent.init_gevent()
        super().__init__(environment)
        self._calls = grpc_calls
        self._error = grpc.RpcError
        self._no_answer = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED)
        self._channel = grpc_calls.channel(address(self.plan.target.url))
        self._infer = grpc_calls.infer(self._channel)

    def call(self, payload: Payload) -> None:
        """One request."""
        started, clock = time.time(), time.perf_counter()
        said, body, error = _Said(0, {}), b"", None
        try:
            body, call = self._infer.with_call(payload.body, timeout=self.timeout, metadata=self._calls.SYNTHETIC)
            said = _Said(200, _texts(call.trailing_metadata()))
            self._calls.check_answer(body, payload.rows)
        except self._error as failed:
            # Over HTTP/2 a gRPC error is a whole answer with status 200, unless no answer came.
            status = 0 if failed.code() in self._no_answer else 200
            said, error = _Said(status, _texts(failed.trailing_metadata())), CatchResponseError(self._calls.said(failed))
        except ValueError as wrong:
            error = CatchResponseError(str(wrong))
        self.client.request_event.fire(
            request_type="gRPC",
            name="ModelInfer",
            response_time=(time.perf_counter() - clock) * 1e3,
            response_length=len(body),
            response=said,
            context={},
            exception=error,
            start_time=started,
            url=self.plan.target.url,
        )

    def on_stop(self) -> None:
        """Close the connection."""
        self._channel.close()


def _texts(metadata: Any) -> dict[str, str]:
    return {name: value for name, value in metadata or () if isinstance(value, str)}


def user_of(plan: Plan) -> type[ScenarioUser]:
    """The class that sends a plan; its requests' bodies are made here, before the clock starts."""
    encode = encoder(plan.target)
    if plan.scenario.replay is None:
        rows = [request[0] for request in plan.requests]
        payloads: Any = Pool(rows, plan.scenario.batches, encode, stream(plan.seed, "batches"))
    else:
        payloads = cycle([Payload(encode(rows), len(rows)) for rows in plan.requests])
    grpc = plan.target.protocol == "grpc"
    return type(
        "Caller",
        (GrpcUser if grpc else RestUser,),
        {
            "plan": plan,
            "payloads": payloads,
            # Locust's session, which gRPC has no use for, takes an HTTP address only.
            "host": f"http://{address(plan.target.url).host_and_port}" if grpc else plan.target.url,
            "timeout": plan.scenario.timeout_s,
            "duration": plan.duration_s,
            "seed": plan.seed,
            "default_headers": {"X-Canari-Synthetic": "1"},
        },
    )
