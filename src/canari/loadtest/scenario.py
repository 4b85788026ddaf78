"""The scenario file: which requests come when, and what their answers must keep to."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

import msgspec

from canari.errors import UsageError
from canari.gate.rules import contradicting_limits
from canari.gate.verdict import HEALTH
from canari.gate.yaml_file import Schema
from canari.project import project_directory

Protocol: TypeAlias = Literal["rest", "grpc"]

PATH = "/predict"  # where a server of canari takes rows

_SCHEMA = Schema("canari.loadtest", "scenario.schema.json", ("p50", "p95", "p99"))
_SHIPPED = Path("loadtests", "scenarios")
_WARMUP_SHARE = 0.1
_TIMEOUT_S = 10.0


class Stage(msgspec.Struct, frozen=True):
    """So many seconds at a rate that goes straight from one number of requests a second to another."""

    seconds: float
    start: float
    end: float

    @property
    def requests(self) -> float:
        """How many are due in it, on average."""
        return self.seconds * (self.start + self.end) / 2


class Batch(msgspec.Struct, frozen=True):
    """Requests of so many rows, and their share of all requests."""

    rows: int
    share: float


class Replay(msgspec.Struct, frozen=True, kw_only=True):
    """Recorded requests instead of drawn ones."""

    file: str | None = None  # None: named by whoever runs the scenario
    speed: float = 1.0  # 2 is twice as fast as recorded
    unfit: Literal["refuse", "skip"] = "refuse"  # rows that do not fit the server's signature


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """Which load is sent, and the limits that its answers are judged by."""

    name: str
    file: str
    sha256: str
    objectives: dict[str, dict[str, float]]  # the keys are those of `scenario.schema.json`
    about: str = ""
    protocol: Protocol | None = None  # None: as the URL's scheme says
    path: str = PATH
    model: str | None = None
    arrivals: str = "poisson"
    stages: tuple[Stage, ...] = ()  # none: a replay's own times
    batches: tuple[Batch, ...] = (Batch(1, 1.0),)
    replay: Replay | None = None
    warmup_s: float = 2.0
    timeout_s: float = _TIMEOUT_S
    false_alarms: float = 0.05
    misses: float = 0.05

    @property
    def duration_s(self) -> float:
        """Seconds of all stages."""
        return sum(stage.seconds for stage in self.stages)

    @property
    def peak(self) -> float:
        """The highest rate of any stage, requests a second."""
        return max((max(stage.start, stage.end) for stage in self.stages), default=0.0)

    @property
    def judged(self) -> list[str]:
        """The objectives that are about the server."""
        return [name for name in self.objectives if name != HEALTH]

    def lasting(self, seconds: float) -> "Scenario":
        """The same with all stages longer or shorter alike, so that they take so many seconds together."""
        factor = seconds / self.duration_s
        return msgspec.structs.replace(
            self, stages=tuple(Stage(stage.seconds * factor, stage.start, stage.end) for stage in self.stages)
        )

    def peaking(self, rate: float) -> "Scenario":
        """The same with all rates higher or lower alike, so that the highest is so many requests a second."""
        factor = rate / self.peak
        return msgspec.structs.replace(
            self, stages=tuple(Stage(stage.seconds, stage.start * factor, stage.end * factor) for stage in self.stages)
        )

    def steady(self, rate: float, seconds: float) -> "Scenario":
        """The same requests at one rate."""
        return msgspec.structs.replace(self, stages=(Stage(seconds, rate, rate),))

    def warmup_of(self, seconds: float) -> float:
        """Seconds that are not judged, of a load of so many."""
        return min(self.warmup_s, _WARMUP_SHARE * seconds)


def find_scenario(file_or_name: str) -> Scenario:
    """Read the scenario in a file, or the project's of that name; raises `UsageError` where there is none or it is wrong."""
    path = Path(file_or_name)
    if path.suffix in (".yaml", ".yml") or path.is_file():
        return load_scenario(path)
    folder = project_directory() / _SHIPPED
    path = folder / f"{file_or_name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(one.stem for one in folder.glob("*.yaml"))) or "none"
        raise UsageError(f"scenario {file_or_name!r}: no file, and none of the project's, which are: {known}")
    return load_scenario(path)


def load_scenario(path: Path) -> Scenario:
    """Read a scenario file; raises `UsageError` with file, line, key and what was expected where it is wrong."""
    file = _SCHEMA.read(path)
    content: dict[str, Any] = file.content
    for problem in _contradictions(content):
        raise file.wrong(*problem)
    replay = content.get("replay")
    if replay is not None and replay.get("file"):
        replay = {**replay, "file": str(path.parent / replay["file"])}
    batches = content.get("batches")
    settings: dict[str, Any] = {
        "about": content.get("about"),
        "protocol": content.get("protocol"),
        "path": content.get("path"),
        "model": content.get("model"),
        "arrivals": content.get("arrivals"),
        "stages": tuple(_stage(stage) for stage in content["stages"]) if "stages" in content else None,
        "batches": (Batch(content["rows"], 1.0),) if "rows" in content else None,
        "replay": None if replay is None else Replay(**replay),
        "warmup_s": content.get("warmup"),
        "timeout_s": content.get("timeout"),
        "false_alarms": content.get("false_alarms"),
        "misses": content.get("misses"),
    }
    if batches is not None:
        settings["batches"] = tuple(Batch(batch["rows"], batch["share"]) for batch in batches)
    return Scenario(
        name=path.stem,
        file=str(path),
        sha256=file.sha256,
        objectives=content["objectives"],
        **{name: value for name, value in settings.items() if value is not None},
    )


def _stage(stage: dict[str, float]) -> Stage:
    return Stage(stage["seconds"], stage.get("rate", stage.get("from", 0.0)), stage.get("rate", stage.get("to", 0.0)))


class _Problem(NamedTuple):
    where: list[Any]
    sentence: str


def _contradictions(content: dict[str, Any]) -> Iterator[_Problem]:
    """Settings that contradict each other, or make each other pointless."""
    replay, stages = content.get("replay"), content.get("stages")
    if replay is None and stages is None:
        yield _Problem([], "needs the key 'stages', or 'replay'")
    for index, stage in enumerate(stages or ()):
        if "rate" in stage and ("from" in stage or "to" in stage):
            yield _Problem(["stages", index, "rate"], "expected either rate, or from and to, came both")
        if "rate" not in stage and not ("from" in stage and "to" in stage):
            yield _Problem(["stages", index], "needs the key 'rate', or 'from' and 'to'")
    if stages is not None and not any(stage.get(key) for stage in stages for key in ("rate", "from", "to")):
        yield _Problem(["stages"], "all rates are 0: expected one that is more")
    if "rows" in content and "batches" in content:
        yield _Problem(["batches"], "expected either rows or batches, came both")
    if "batches" in content and abs((total := sum(batch["share"] for batch in content["batches"])) - 1) > 1e-6:
        yield _Problem(["batches"], f"expected shares that add up to 1, came {total:g}")
    if replay is not None:
        for key in ("rows", "batches"):
            if key in content:
                yield _Problem([key], "a replay sends the recorded rows: expected none, or no replay")
        if stages is not None and "speed" in replay:
            yield _Problem(["replay", "speed"], "the stages say when requests are due: expected no speed, or no stages")
        if stages is None and "arrivals" in content:
            yield _Problem(["arrivals"], "a replay's requests are due at their recorded distances: expected none, or stages")
    if content.get("protocol") == "grpc" and "path" in content:
        yield _Problem(["path"], "a path is of REST: expected none with protocol grpc")
    if content.get("protocol") == "rest" and "model" in content:
        yield _Problem(["model"], "a model's name is of gRPC: expected none with protocol rest")
    objectives = content["objectives"]
    for name, sentence in contradicting_limits(objectives, content.get("timeout", _TIMEOUT_S)):
        yield _Problem(["objectives", name, "max_ms"], sentence)
    if not any(name != HEALTH for name in objectives):
        yield _Problem(["objectives"], "has none that is about the server")
