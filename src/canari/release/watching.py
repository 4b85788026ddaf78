"""Watching a release until it is decided, through an API server that is away for a while."""

import time
from collections.abc import Callable, Iterator
from typing import Literal, TypeAlias

import msgspec

from canari.errors import CanariError, ExitCode
from canari.release.cluster import Cluster, UnreachableError
from canari.release.state import Release, describe, observe

Ending: TypeAlias = Literal["promoted", "aborted", "degraded", "replaced", "undone", "inconclusive"]

EXIT_CODES: dict[Ending, ExitCode] = {
    "promoted": ExitCode.OK,
    "aborted": ExitCode.FAILED,
    "degraded": ExitCode.FAILED,
    "replaced": ExitCode.FAILED,
    "undone": ExitCode.FAILED,
    "inconclusive": ExitCode.INCONCLUSIVE,
}

_PAUSE_SECONDS = 1.0
_OUTAGE_SECONDS = 300.0  # an API server that is away for longer is an error


class Outcome(msgspec.Struct, frozen=True):
    """How a release ended, and how it stood then."""

    ending: Ending
    release: Release

    @property
    def sentence(self) -> str:
        """For a person."""
        of = f"{self.release.namespace}/{self.release.name}"
        reason = f": {self.release.why}" if self.release.why else ""
        match self.ending:
            case "promoted":
                stable = self.release.version("stable")
                return f"{of}: every caller is on {stable.shown if stable else self.release.stable}"
            case "replaced":
                return f"{of}: another version has taken the place of the one that was watched"
            case "undone":
                return f"{of}: undone, the Rollout asks for the stable version again"
            case "inconclusive":
                return f"{of}: paused, a person decides{reason}"
            case "aborted":
                return f"{of}: aborted, every caller is on the stable version{reason}"
            case "degraded":
                return f"{of}: degraded{reason}"


def look(cluster: Cluster, name: str | None) -> Release:
    """How the release stands now."""
    return describe(observe(cluster, name))


def watch(
    cluster: Cluster,
    name: str,
    *,
    wanted: str = "",
    timeout: float | None = None,
    wait: bool = False,
    seen: Callable[[Release], None],
    troubled: Callable[[str], None],
) -> Outcome:
    """Look at a release each second until it is decided, and call `seen` with every look.

    What is watched is the version whose hash is `wanted`, or the one that the Rollout asks for at the first look. With `wait` an
    inconclusive gate is no end: a person's decision is awaited. Raises `CanariError` after `timeout` seconds, or where the API
    server is away for five minutes; `troubled` is told when it stops answering, and when it answers again.
    """
    release: Release | None = None
    for release in _looks(cluster, name, timeout, troubled):
        seen(release)
        wanted = wanted or release.wanted
        if wanted and release.wanted and (ending := _ending(release, wanted, wait=wait)):
            return Outcome(ending, release)
    stood = f"; it was {release.phase}, {release.where}" if release else ""
    raise CanariError(f"{cluster.namespace}/{name} was not decided within {timeout:g} s{stood}; the release goes on by itself")


def _looks(cluster: Cluster, name: str, timeout: float | None, troubled: Callable[[str], None]) -> Iterator[Release]:
    started = answered = time.monotonic()
    away = False
    while timeout is None or time.monotonic() - started < timeout:
        try:
            release = look(cluster, name)
        except UnreachableError as error:
            if time.monotonic() - answered > _OUTAGE_SECONDS:
                raise
            if not away:
                troubled(f"{error}; trying again")
            away = True
        else:
            if away:
                troubled("the API server answers again")
            away, answered = False, time.monotonic()
            yield release
        time.sleep(_PAUSE_SECONDS)


def _ending(release: Release, wanted: str, *, wait: bool) -> Ending | None:
    if release.wanted != wanted:
        return "undone" if release.wanted == release.stable else "replaced"
    match release.phase:
        case "healthy":
            return "promoted"
        case "aborted" | "degraded":
            return release.phase
        case "inconclusive" if not wait:
            return "inconclusive"
        case _:
            return None
