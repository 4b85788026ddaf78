"""Rows as the bodies of requests, made before the load is sent."""

from collections.abc import Callable, Sequence
from random import Random
from typing import NamedTuple, TypeAlias

import msgspec

from canari.loadtest.scenario import Batch
from canari.loadtest.target import Target
from canari.model import Value

Row: TypeAlias = dict[str, Value]
Encode: TypeAlias = Callable[[Sequence[Row]], bytes]

_BODIES = 32  # different ones of each size with several rows


class Payload(NamedTuple):
    """A request's body, and how many rows are in it."""

    body: bytes
    rows: int


def encoder(target: Target) -> Encode:
    """What makes a body of rows for a server."""
    if target.protocol == "rest":
        return msgspec.json.encode
    from canari.loadtest.grpc_calls import infer_request  # noqa: PLC0415 - REST needs no gRPC

    return lambda rows: infer_request(target, rows)


class Pool:
    """Requests of random rows, in sizes of given shares."""

    def __init__(self, rows: Sequence[Row], batches: Sequence[Batch], encode: Encode, random: Random) -> None:
        self._shares = [batch.share for batch in batches]
        self._payloads = [_of_size(rows, batch.rows, encode, random) for batch in batches]

    def pick(self, random: Random) -> Payload:
        """One of them."""
        (payloads,) = random.choices(self._payloads, self._shares) if len(self._payloads) > 1 else self._payloads
        return random.choice(payloads)


def _of_size(rows: Sequence[Row], size: int, encode: Encode, random: Random) -> list[Payload]:
    if size == 1:
        return [Payload(encode([row]), 1) for row in rows]
    return [Payload(encode(random.choices(rows, k=size)), size) for _ in range(_BODIES)]
