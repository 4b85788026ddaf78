"""Who answers: requests through the cluster's gateway over REST and gRPC, counted by the version that answered."""

import asyncio
import os
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import grpc  # type: ignore[import-untyped]
import httpx
import msgspec

from canari.errors import CanariError, UsageError
from canari.gate.rows import generate, records
from canari.gate.statistics import Levels, share_interval
from canari.model import Value
from canari.release.cluster import GATEWAY, GRPC_ROUTE, HTTP_ROUTE, Cluster, Kind
from canari.release.objects import Gateway, Route
from canari.release.state import Objects, Release, RouteState, describe, observe
from canari.serving.oip import open_inference_pb2 as pb
from canari.signature import Input, Signature

ENVIRONMENT = "CANARI_GATEWAY"
SYNTHETIC = "X-Canari-Synthetic"
TOLERANCE = 0.02  # of a share
CONFIDENCE = 0.99

_LARGEST_PORT = 65535
_AT_ONCE = 16
_SECONDS = 10.0  # for one answer
_INFER = "/inference.GRPCInferenceService/ModelInfer"
_CONTENTS = {"FP64": "fp64_contents", "INT64": "int64_contents", "BOOL": "bool_contents", "BYTES": "bytes_contents"}

Row = dict[str, Value]
_Ask = Callable[[Row], Awaitable[str]]  # the version that answered


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """Where a Gateway listens."""

    host: str
    port: int
    tls: bool = False

    def __str__(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self.host}:{self.port}"


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """How many of a route's answers came from one version."""

    version: str
    answers: int
    share: float
    expected: float | None  # by the weights; None where no weight says so
    within: bool


class Answers(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one route's requests."""

    protocol: str
    route: str
    address: str
    requests: int
    shares: tuple[Share, ...]
    errors: int
    first_error: str

    @property
    def right(self) -> bool:
        """Whether every request was answered, in the shares that the weights ask for."""
        return not self.errors and all(share.within for share in self.shares)


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """Who answered, beside the weights that were in the routes meanwhile."""

    answers: tuple[Answers, ...]
    routes: tuple[RouteState, ...]
    moved: bool  # the weights changed meanwhile: the shares say nothing


class _ServerError(Exception):
    """An answer that is none, in a few words."""


def parse_address(text: str) -> Address:
    """Read `[http://|https://]HOST[:PORT]`; raises `UsageError` where it is not that."""
    try:
        url = httpx.URL(text if "://" in text else f"http://{text}")
    except httpx.InvalidURL:
        url = httpx.URL()
    if url.scheme not in ("http", "https") or not url.host or url.path not in ("", "/") or (url.port or 0) > _LARGEST_PORT:
        raise UsageError(f"gateway {text!r}: expected HOST:PORT, or http:// or https:// before it")
    tls = url.scheme == "https"
    return Address(host=url.host, port=url.port or (443 if tls else 80), tls=tls)


def verify(
    cluster: Cluster, name: str | None, *, requests: int, gateway: Address | None = None, authority: Path | None = None
) -> Verification:
    """Send `requests` over each protocol through the gateway, with the routes' host names, and count who answers.

    The gateway is asked for at the routes' Gateway where it is not given. `authority` is a certificate authority of one's own.
    Where the weights change meanwhile it is done once more.
    """
    verification = None
    for _ in range(2):
        seen = observe(cluster, name)
        release = describe(seen)
        answers = [
            _ask_route(cluster, kind, route, release, requests, gateway, authority) for kind, route in _routes(seen, release)
        ]
        after = describe(observe(cluster, seen.rollout.name))
        verification = Verification(answers=tuple(answers), routes=after.routes, moved=after.routes != release.routes)
        if not verification.moved:
            break
    assert verification is not None  # noqa: S101  for the type checker: the loop runs
    return verification


def judge(counts: Counter[str], weights: dict[str, float], nameless: Sequence[float] = ()) -> tuple[Share, ...]:
    """Each version's share beside what the weights ask for: percent by version, and of versions whose name no gate has told yet.

    A share is right where it is within two points, or where its exact 99 % interval holds the weight; a version without callers
    must not answer at all. The weights without a name go to the versions that are not known, the larger to the larger.
    """
    total = sum(counts.values())
    unknown = [version for version, _ in counts.most_common() if version not in weights]
    weights = weights | dict(zip(unknown, sorted(nameless, reverse=True), strict=False))
    shares = []
    for version in sorted(set(counts) | {version for version, weight in weights.items() if weight}):
        expected = weights.get(version, 0.0) / 100
        shares.append(
            Share(
                version=version,
                answers=counts[version],
                share=counts[version] / total if total else 0.0,
                expected=expected,
                within=_is_within(counts[version], total, expected),
            )
        )
    return tuple(shares)


def _is_within(answers: int, total: int, expected: float) -> bool:
    if not total:
        return False
    if expected in (0.0, 1.0):
        return answers == expected * total
    low, high = share_interval(answers, answers, total, Levels(1 - CONFIDENCE, 1 - CONFIDENCE).shared(2))
    return abs(answers / total - expected) <= TOLERANCE or low <= expected <= high


def _routes(seen: Objects, release: Release) -> list[tuple[Kind[Route], Route]]:
    found = [(HTTP_ROUTE, route) for route in seen.http_routes.values()] + [
        (GRPC_ROUTE, route) for route in seen.grpc_routes.values()
    ]
    missing = [route.name for route in release.routes if route.stable is None]
    if missing or not found:
        raise CanariError(
            f"Rollout {release.name}: {'route ' + ', '.join(missing) if missing else 'no route'} is there to ask through; "
            "the installation applies them"
        )
    return [(kind, route) for kind, route in found if route is not None]


def _ask_route(
    cluster: Cluster,
    kind: Kind[Route],
    route: Route,
    release: Release,
    requests: int,
    gateway: Address | None,
    authority: Path | None,
) -> Answers:
    address = gateway or _given() or _gateway_address(cluster, route)
    host = _host(route.spec.hostnames, address)
    http_host = _host(next((state.hostnames for state in release.routes if state.kind == "HTTPRoute"), (host,)), address)
    counts, errors = asyncio.run(_count(kind is GRPC_ROUTE, address, host, http_host, requests, authority))
    state = next(state for state in release.routes if state.kind == kind.name and state.name == route.name)
    return Answers(
        protocol="gRPC" if kind is GRPC_ROUTE else "REST",
        route=f"{kind} {route.name}",
        address=f"{address} ({host})",
        requests=requests,
        shares=judge(counts, *_weights(release, state)),
        errors=len(errors),
        first_error=errors[0] if errors else "",
    )


def _weights(release: Release, state: RouteState) -> tuple[dict[str, float], list[float]]:
    """Percent by the version's number, as the servers answer it, and the weights of versions that no gate has named yet."""
    weights: dict[str, float] = {}
    nameless = []
    for role, weight in (("stable", state.stable), ("candidate", state.candidate)):
        version = release.version(role)
        if version and version.model:
            said = version.model.partition(":")[2]
            weights[said] = weights.get(said, 0.0) + (weight or 0.0)
        elif weight:
            nameless.append(weight)
    return weights, nameless


def _host(hostnames: Sequence[str], address: Address) -> str:
    """A name that a route answers to; any name does where it has none."""
    return hostnames[0].replace("*", "canari", 1) if hostnames else address.host


def _given() -> Address | None:
    text = os.environ.get(ENVIRONMENT, "")
    return parse_address(text) if text else None


def _gateway_address(cluster: Cluster, route: Route) -> Address:
    if not route.spec.parent_refs:
        raise CanariError(f"route {route.name} hangs on no Gateway: name the address by --gateway HOST:PORT")
    parent = route.spec.parent_refs[0]
    namespace = parent.namespace or cluster.namespace
    gateway: Gateway = cluster.get(GATEWAY, parent.name, namespace)
    listeners = [
        listener
        for listener in gateway.spec.listeners
        if parent.section_name in ("", listener.name) and parent.port in (None, listener.port)
    ]
    if not gateway.status.addresses or not listeners:
        raise CanariError(
            f"Gateway {namespace}/{parent.name} tells no address: name it by --gateway HOST:PORT or the variable {ENVIRONMENT}"
        )
    listener = listeners[0]
    return Address(host=gateway.status.addresses[0].value, port=listener.port, tls=listener.protocol in ("HTTPS", "TLS"))


async def _count(
    over_grpc: bool, address: Address, host: str, http_host: str, requests: int, authority: Path | None
) -> tuple[Counter[str], list[str]]:
    """Send the requests, some at once; how often each version answered, and every request that had no answer."""
    async with _client(address, authority) as client:
        signature = await _signature(client, http_host)
        rows = _rows(signature, requests)
        if not over_grpc:
            return await _send(rows, lambda row: _ask_rest(client, host, signature, row))
        async with _channel(address, host, authority) as channel:
            infer = channel.unary_unary(_INFER, pb.ModelInferRequest.SerializeToString, pb.ModelInferResponse.FromString)
            return await _send(rows, lambda row: _ask_grpc(infer, signature, row))


async def _send(rows: Sequence[Row], ask: _Ask) -> tuple[Counter[str], list[str]]:
    gate = asyncio.Semaphore(_AT_ONCE)
    counts: Counter[str] = Counter()
    errors: list[str] = []

    async def one(row: Row) -> None:
        async with gate:
            try:
                counts[await ask(row)] += 1
            except _ServerError as error:
                errors.append(str(error))

    await asyncio.gather(*(one(row) for row in rows))
    return counts, errors


async def _signature(client: httpx.AsyncClient, host: str) -> Signature:
    try:
        answer = await client.get("/signature", headers=_headers(host), extensions={"sni_hostname": host})
    except httpx.HTTPError as error:
        raise CanariError(f"the gateway at {client.base_url} does not answer: {_say(error)}; name another by --gateway") from None
    if answer.status_code != httpx.codes.OK:
        raise CanariError(f"{client.base_url} gives no signature for host {host}: HTTP {answer.status_code}")
    try:
        return msgspec.json.decode(answer.content, type=Signature)
    except msgspec.MsgspecError as error:
        raise CanariError(f"{client.base_url} gives no signature for host {host}: {error}") from None


def _rows(signature: Signature, count: int) -> list[Row]:
    """Rows without missing values, which the protocols write in different ways; drawn from the signature."""
    complete = tuple(msgspec.structs.replace(column, missing=False) for column in signature.inputs)
    return records(generate(complete, count, seed=0))


async def _ask_rest(client: httpx.AsyncClient, host: str, signature: Signature, row: Row) -> str:
    inputs = [{"name": c.name, "datatype": c.datatype, "shape": [1, 1], "data": [row[c.name]]} for c in signature.inputs]
    try:
        answer = await client.post(
            f"/v2/models/{signature.name}/infer",
            json={"inputs": inputs},
            headers=_headers(host),
            extensions={"sni_hostname": host},
        )
    except httpx.HTTPError as error:
        raise _ServerError(_say(error)) from None
    if answer.status_code != httpx.codes.OK:
        raise _ServerError(f"HTTP {answer.status_code}: {answer.text[:200]}")
    try:
        return str(answer.json()["model_version"])
    except (ValueError, KeyError, TypeError):
        raise _ServerError(f"not an answer of the Open Inference Protocol: {answer.text[:200]}") from None


async def _ask_grpc(infer: Any, signature: Signature, row: Row) -> str:
    request = pb.ModelInferRequest(model_name=signature.name)
    for column in signature.inputs:
        tensor = request.inputs.add(name=column.name, datatype=column.datatype, shape=[1, 1])
        getattr(tensor.contents, _CONTENTS[column.datatype]).append(_element(column, row[column.name]))
    try:
        response = await infer(request, timeout=_SECONDS, metadata=((SYNTHETIC.lower(), "true"),))
    except grpc.aio.AioRpcError as error:
        raise _ServerError(f"{error.code().name}: {error.details()}") from None
    return str(response.model_version)


def _element(column: Input, value: Value) -> Any:
    return str(value).encode() if column.datatype == "BYTES" else value


def _headers(host: str) -> dict[str, str]:
    return {"Host": host, SYNTHETIC: "true"}


def _client(address: Address, authority: Path | None) -> httpx.AsyncClient:
    # Straight to the gateway: no proxy of the environment knows its host names.
    limits = httpx.Limits(max_connections=_AT_ONCE)
    verified: ssl.SSLContext | bool = ssl.create_default_context(cafile=authority) if authority else True
    return httpx.AsyncClient(base_url=str(address), timeout=_SECONDS, limits=limits, trust_env=False, verify=verified)


def _channel(address: Address, host: str, authority: Path | None) -> Any:
    target = f"{address.host}:{address.port}"
    options = [("grpc.default_authority", host), ("grpc.enable_http_proxy", 0)]
    if not address.tls:
        return grpc.aio.insecure_channel(target, options)
    credentials = grpc.ssl_channel_credentials(authority.read_bytes() if authority else None)
    return grpc.aio.secure_channel(target, credentials, [*options, ("grpc.ssl_target_name_override", host)])


def _say(error: Exception) -> str:
    words = " ".join(str(error).split())[:200]
    return words or type(error).__name__
