"""Sends gRPC messages as they are, readable or not, and judges the statuses that come back."""

import asyncio
from collections.abc import Iterable, Iterator
from typing import Any

import grpc  # type: ignore[import-untyped]

from proofs.grpc_cases import GrpcCase
from proofs.http_caller import Judged, text_complaint

_Code = grpc.StatusCode
_REFUSALS = frozenset({_Code.INVALID_ARGUMENT, _Code.NOT_FOUND, _Code.RESOURCE_EXHAUSTED, _Code.UNIMPLEMENTED})
_CHANNELS = 4
_CALLS = 24  # at a time


async def send(port: int, cases: Iterable[tuple[int, GrpcCase]]) -> Judged:
    """Send them all, some at a time."""
    judged = Judged()
    waiting = iter(cases)
    # Each a connection of its own.
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_send_message_length", -1), ("grpc.enable_retries", 0)]
    channels = [grpc.aio.insecure_channel(f"127.0.0.1:{port}", options) for _ in range(_CHANNELS)]
    try:
        await asyncio.gather(*(_send_some(channels[index % _CHANNELS], waiting, judged) for index in range(_CALLS)))
    finally:
        await asyncio.gather(*(channel.close() for channel in channels))
    return judged


async def _send_some(channel: Any, waiting: Iterator[tuple[int, GrpcCase]], judged: Judged) -> None:
    for number, case in waiting:
        call = channel.unary_unary(case.method)
        compression = grpc.Compression.Gzip if case.compressed else None
        try:
            await call(case.request, metadata=case.metadata, timeout=case.deadline, compression=compression)
        except grpc.aio.AioRpcError as error:
            judged.statuses[error.code().name] += 1
            judged.refused += error.code() in _REFUSALS
            complaint = _complaint(case, error)
        else:
            judged.statuses["OK"] += 1
            complaint = "it was answered with OK" if case.expected == "refusal" else None
        if complaint is not None:
            judged.wrong[number] = f"{case.what}: {complaint}"


def _complaint(case: GrpcCase, error: grpc.aio.AioRpcError) -> str | None:
    """What is wrong with a refusal."""
    code, details = error.code(), error.details() or ""
    busy = code is _Code.UNAVAILABLE and "try again later" in details
    late = code is _Code.DEADLINE_EXCEEDED and case.deadline < 1
    if code not in _REFUSALS and not busy and not late:
        return f"it was answered with {code.name}: {details[:200]}"
    return text_complaint(code.name, details)
