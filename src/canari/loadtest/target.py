"""The server that a load goes to: its address, its protocol, and what rows it takes."""

import re
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

import msgspec

from canari.errors import CanariError, UsageError
from canari.gate.rows import ask_signature
from canari.loadtest.scenario import PATH, Protocol, Scenario
from canari.signature import Input, InputKind

_SCHEMES: dict[str, Protocol] = {"http": "rest", "https": "rest", "grpc": "grpc", "grpcs": "grpc"}
_KINDS: tuple[tuple[str, InputKind], ...] = (
    (r"FP(16|32|64)", "number"),
    (r"U?INT(8|16|32|64)", "integer"),
    ("BOOL", "boolean"),
    ("BYTES", "category"),
)


class Tensor(msgspec.Struct, frozen=True):
    """One input of the Open Inference Protocol, and the columns of rows that it holds."""

    name: str
    datatype: str
    columns: tuple[str, ...]
    flat: bool = False  # shape [n] instead of [n, columns]


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """Whom to ask, and how."""

    url: str
    protocol: Protocol
    name: str  # of the model, with its version where the server tells it
    model: str  # as gRPC requests name it
    inputs: tuple[Input, ...]
    tensors: tuple[Tensor, ...]


class Address(NamedTuple):
    """Where a gRPC server listens."""

    host_and_port: str
    tls: bool


def address(url: str) -> Address:
    """Of a URL grpc://HOST:PORT or grpcs://HOST:PORT."""
    parts = urlsplit(url)
    return Address(parts.netloc, parts.scheme == "grpcs")


def check_url(url: str, scenario: Scenario) -> Protocol:
    """The protocol of a URL; raises `UsageError` where there is none, or where the scenario asks for another."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    protocol = _SCHEMES.get(parts.scheme)
    if protocol is None or not parts.hostname or (protocol == "grpc" and not port):
        raise UsageError(f"expected a URL such as http://127.0.0.1:3000 or grpc://127.0.0.1:3001, came {url!r}")
    if protocol == "grpc" and parts.path.strip("/"):
        raise UsageError(f"expected a gRPC address without a path, such as grpc://127.0.0.1:3001, came {url!r}")
    if scenario.protocol not in (None, protocol):
        scheme = "grpc://HOST:PORT" if scenario.protocol == "grpc" else "http://HOST:PORT"
        raise UsageError(f"{scenario.file}: protocol: the scenario is for {scenario.protocol}: expected {scheme}, came {url!r}")
    if protocol == "grpc" and scenario.path != PATH:
        raise UsageError(f"{scenario.file}: path: a path is of REST: expected http://HOST:PORT, came {url!r}")
    if protocol == "rest" and scenario.model is not None:
        raise UsageError(f"model {scenario.model!r}: a model's name is of gRPC: expected grpc://HOST:PORT, came {url!r}")
    return protocol


def ask_target(url: str, scenario: Scenario, signature_url: str | None, patience_s: float) -> Target:
    """Ask what rows the server takes: by its signature, or over gRPC by its model's metadata where no signature is named.

    Raises `CanariError` where it does not say.
    """
    protocol = check_url(url, scenario)
    if protocol == "rest" or signature_url is not None:
        signature = ask_signature(signature_url or url, scenario.timeout_s, patience_s)
        inputs = signature.inputs
        if protocol == "grpc":  # a BOOL element is never missing
            inputs = tuple(
                msgspec.structs.replace(column, missing=column.missing and column.kind != "boolean") for column in inputs
            )
        return Target(
            url=url.rstrip("/"),
            protocol=protocol,
            name=signature.tag,
            model=scenario.model or signature.name,
            inputs=inputs,
            tensors=tuple(Tensor(column.name, column.datatype, (column.name,)) for column in inputs),
        )
    if scenario.model is None:
        raise UsageError(f"{url}: whose rows are not known: name the server's signature by --signature, or the model by --model")
    return _by_metadata(url, scenario.model, scenario.timeout_s)


def _by_metadata(url: str, model: str, timeout: float) -> Target:
    try:
        from canari.loadtest import grpc_calls  # noqa: PLC0415 - REST needs no gRPC
    except ModuleNotFoundError as error:
        raise CanariError(f"gRPC needs {error.name!r}, which is not installed: pip install 'canari-serving[all]'") from None
    metadata = grpc_calls.metadata(address(url), model, timeout)
    tensors, inputs = [], []
    for tensor in metadata.inputs:
        made, columns = columns_of(tensor.name, tensor.datatype, list(tensor.shape))
        tensors.append(made)
        inputs += columns
    version = f":{metadata.versions[0]}" if metadata.versions else ""
    return Target(
        url=url.rstrip("/"),
        protocol="grpc",
        name=f"{metadata.name or model}{version}",
        model=model,
        inputs=tuple(inputs),
        tensors=tuple(tensors),
    )


def columns_of(name: str, datatype: str, shape: Sequence[int]) -> tuple[Tensor, list[Input]]:
    """A described tensor, and its columns: of shape [n] or [n, 1] one of its name, of [n, k] NAME.0 to NAME.k-1.

    Raises `CanariError` where it holds no rows.
    """
    kind = next((kind for pattern, kind in _KINDS if re.fullmatch(pattern, datatype)), None)
    width = shape[1] if len(shape) == 2 else 1
    if kind is None or len(shape) not in (1, 2) or width < 1:
        raise CanariError(f"tensor {name!r}: expected rows, shape [n] or [n, columns], came {datatype} {list(shape)}")
    names = (name,) if width == 1 else tuple(f"{name}.{index}" for index in range(width))
    return Tensor(name, datatype, names, flat=len(shape) == 1), [Input(name=column, kind=kind) for column in names]
