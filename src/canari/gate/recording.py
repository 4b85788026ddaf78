"""The raw requests of a gate or of callers: one JSON line each, never rounded, readable while it is written."""

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import msgspec
import numpy as np
import numpy.typing as npt

from canari.errors import CanariError


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One arrival and what came of it."""

    arm: str  # "baseline" or "candidate"; of a caller what Envoy's answer says: "stable", "candidate", or "" for no answer
    intended: float  # when it was due, seconds since 1970
    delay_ms: float  # the generator's own: from when it was due and could be sent until it was sent
    queued_ms: float  # waited because all the generator's connections were taken by requests not yet answered
    latency_ms: float  # from when it was due until the answer was whole, or was given up
    status: int  # HTTP status; 0 for no whole answer
    version: str | None = None  # the answer's x-canari-version
    error: str | None = None  # why it counts as failed; None for a good answer


def to_lines(requests: Sequence[Request]) -> bytes:
    """Requests as they are written."""
    return msgspec.json.Encoder().encode_lines(requests)


class Writer:
    """Appends whole lines at once, so that a reader can follow."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb", buffering=0)

    def write(self, lines: bytes) -> None:
        """Append what `to_lines` gave; raises OSError where the disk does not take all of it."""
        left = memoryview(lines)
        while left:
            left = left[self._file.write(left) :]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._file.close()


class Tail:
    """Reads a recording while it is written: each `read` gives the requests that are new since the last one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._position = 0
        self._lines = 0
        self._decoder = msgspec.json.Decoder(Request)

    def read(self) -> list[Request]:
        """The requests written since the last call; none while the file does not exist; half a line is left for the next call.

        Raises `CanariError` for a line that is no request.
        """
        try:
            with self._path.open("rb") as file:
                file.seek(self._position)
                data = file.read()
        except FileNotFoundError:
            return []
        whole, newline, _ = data.rpartition(b"\n")
        if not newline:
            return []
        try:
            requests = self._decoder.decode_lines(whole)
        except msgspec.MsgspecError as error:
            raise CanariError(f"{self._path}: not a recording of requests{self._where(whole)}: {error}") from None
        self._position += len(whole) + 1
        self._lines += whole.count(b"\n") + 1
        return requests

    def _where(self, lines: bytes) -> str:
        """Which of the new lines is the first that is no request."""
        for number, line in enumerate(lines.split(b"\n"), start=self._lines + 1):
            try:
                self._decoder.decode_lines(line)
            except msgspec.MsgspecError:
                return f" in line {number}"
        return ""


def read(path: Path) -> list[Request]:
    """All requests of a recording, in the order of their answers; raises `CanariError` where the file cannot be read."""
    if not path.exists():
        raise CanariError(f"{path}: there is no such recording")
    try:
        return Tail(path).read()
    except OSError as error:
        raise CanariError(f"{path}: cannot be read: {error.strerror}") from None


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """Requests as columns, each an array [n], in the order in which they were due."""

    arm: npt.NDArray[np.str_]
    intended: npt.NDArray[np.float64]
    delay_ms: npt.NDArray[np.float64]
    queued_ms: npt.NDArray[np.float64]
    latency_ms: npt.NDArray[np.float64]
    status: npt.NDArray[np.int64]
    version: npt.NDArray[np.str_]  # "" for none
    error: npt.NDArray[np.str_]  # "" for a good answer

    @property
    def failed(self) -> npt.NDArray[np.bool_]:
        """Whether each counts as failed."""
        failed: npt.NDArray[np.bool_] = self.error != ""
        return failed

    def __len__(self) -> int:
        return len(self.intended)

    def where(self, chosen: npt.NDArray[np.bool_]) -> "Table":
        """The rows where `chosen` [n] is true."""
        return Table(**{field: getattr(self, field)[chosen] for field in self.__struct_fields__})


def to_table(requests: Sequence[Request]) -> Table:
    """Turn requests into columns, for numpy and charts."""
    requests = sorted(requests, key=lambda request: request.intended)
    return Table(
        arm=np.array([r.arm for r in requests], np.str_),
        intended=np.array([r.intended for r in requests], np.float64),
        delay_ms=np.array([r.delay_ms for r in requests], np.float64),
        queued_ms=np.array([r.queued_ms for r in requests], np.float64),
        latency_ms=np.array([r.latency_ms for r in requests], np.float64),
        status=np.array([r.status for r in requests], np.int64),
        version=np.array([r.version or "" for r in requests], np.str_),
        error=np.array(["" if r.error is None else r.error or "?" for r in requests], np.str_),
    )
