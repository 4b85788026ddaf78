"""Callers that never repeat a request, and know what the answer must be."""

import asyncio
import math
import re
import struct
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import cycle
from threading import Thread
from typing import Any, NamedTuple

import grpc  # type: ignore[import-untyped]
import msgspec
import uvloop

from canari.model import Model
from canari.serving.oip import open_inference_pb2 as pb
from proofs.servers import check_rows, known

_THINKING = 0.005  # seconds between an answer and the next request
_PATIENCE = 20.0
_DIFFERENCE = 1e-9

_HEAD = re.compile(rb"HTTP/1\.1 (\d+).*?\r\ncontent-length: (\d+)\r\n", re.IGNORECASE | re.DOTALL)


class Row(NamedTuple):
    """A row as it is sent, and what is to be predicted for it."""

    body: bytes
    message: bytes
    prediction: float


def rows(model: Model) -> list[Row]:
    """The rows that prove a model, but for those for which it predicts no number."""
    signature = model.signature
    (output,) = signature.outputs
    found = []
    for row, prediction in zip(check_rows(model), known(model).predictions[output.columns[0]], strict=True):
        if isinstance(prediction, float):
            request = pb.ModelInferRequest(model_name=signature.name)
            for column in signature.inputs:
                request.inputs.add(name=column.name, datatype="FP64", shape=[1])
                request.raw_input_contents.append(struct.pack("<d", row[column.name]))
            found.append(Row(msgspec.json.encode([row]), request.SerializeToString(), prediction))
    return found


class Callers:
    """Callers in a thread of their own: some over HTTP and some over gRPC through a proxy, and some straight to a server.

    `places` are the HTTP ports among which the last ones choose when they connect: anew only when an answer asks for it.
    """

    def __init__(self, known: list[Row], http_port: int, grpc_port: int, places: Callable[[], list[int]]) -> None:
        self.answered: Counter[str] = Counter()
        self.turned_away = 0  # by a server that said when to try again, because its machine had too much to do
        self.lost: list[str] = []
        self._known = known
        self._http_port, self._grpc_port, self._places = http_port, grpc_port, places
        self._stopping = False
        self._thread = Thread(target=self._run, name="callers")

    def __enter__(self) -> "Callers":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping = True
        self._thread.join()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._call())

    async def _call(self) -> None:
        # Each a connection of its own.
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0)]
        channels = [grpc.aio.insecure_channel(f"127.0.0.1:{self._grpc_port}", options) for _ in range(4)]
        proxied = [_HttpCaller(lambda: [self._http_port]) for _ in range(4)]
        direct = [_HttpCaller(self._places) for _ in range(4)]
        try:
            await asyncio.gather(
                *(self._repeat("HTTP through Envoy", caller.predict) for caller in proxied),
                *(self._repeat("HTTP", caller.predict) for caller in direct),
                *(self._repeat("gRPC through Envoy", _GrpcCaller(channel).predict) for channel in channels),
            )
        finally:
            await asyncio.gather(*(channel.close() for channel in channels))
            for caller in (*proxied, *direct):
                caller.close()

    async def _repeat(self, way: str, predict: Callable[[Row], Awaitable[float]]) -> None:
        known = cycle(self._known)
        while not self._stopping:
            row = next(known)
            try:
                predicted = await asyncio.wait_for(predict(row), _PATIENCE)
            except _BusyError:
                self.turned_away += 1
            except Exception as error:  # noqa: BLE001  whatever it is, the request is lost
                self.lost.append(f"{way}: {type(error).__name__}: {_words(error)}")
            else:
                if math.isclose(predicted, row.prediction, rel_tol=_DIFFERENCE, abs_tol=_DIFFERENCE):
                    self.answered[way] += 1
                else:
                    self.lost.append(f"{way}: {predicted} was predicted, expected {row.prediction}")
            await asyncio.sleep(_THINKING)


class _BusyError(Exception):
    """A server says that it has too much to do, and when to try again."""


class _HttpCaller:
    """One connection that is kept alive, and closed when an answer asks for it."""

    def __init__(self, places: Callable[[], list[int]]) -> None:
        self._places = places
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._last = 0

    async def predict(self, row: Row) -> float:
        """The prediction for a row; raises whatever went wrong, and connects anew after that."""
        reader, writer = self._streams or await self._connect()
        self._streams = None
        try:
            writer.write(
                b"POST /predict HTTP/1.1\r\nhost: model\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
                % (len(row.body), row.body)
            )
            head = await reader.readuntil(b"\r\n\r\n")
            found = _HEAD.match(head)
            if found is None:
                raise ValueError(f"came {head[:200]!r}")
            body = await reader.readexactly(int(found[2]))
            if found[1] == b"503" and b"\r\nretry-after: " in head:
                raise _BusyError
            if found[1] != b"200":
                raise ValueError(f"came {found[1].decode()}: {body[:200]!r}")
        except BaseException:
            writer.close()
            raise
        if b"\r\nconnection: close\r\n" in head.lower():
            writer.close()
        else:
            self._streams = reader, writer
        (record,) = msgspec.json.decode(body)["predictions"]
        (predicted,) = record.values()
        return float(predicted)

    def close(self) -> None:
        """Leave."""
        if self._streams is not None:
            self._streams[1].close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        places = self._places()
        # Another one than the last, which has asked to go elsewhere.
        self._last = next((place for place in places if place != self._last), places[0])
        return await asyncio.open_connection("127.0.0.1", self._last)


class _GrpcCaller:
    """Calls on a connection of their own."""

    def __init__(self, channel: Any) -> None:
        self._infer = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")

    async def predict(self, row: Row) -> float:
        """The prediction for a row; raises whatever went wrong."""
        try:
            response = pb.ModelInferResponse.FromString(await self._infer(row.message))
        except grpc.aio.AioRpcError as error:
            if "try again later" in (error.details() or ""):
                raise _BusyError from None
            raise
        (predicted,) = struct.unpack("<d", response.raw_output_contents[0])
        return float(predicted)


def _words(error: Exception) -> str:
    with suppress(AttributeError):
        return f"{error.code().name}: {error.details()}"  # type: ignore[attr-defined]
    return str(error)
