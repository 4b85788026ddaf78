"""A release on one screen, and its changes as lines where there is no screen."""

from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from canari.release.past import Revision
from canari.release.state import PodState, Release, RouteState, VersionState, short

_STYLES = {
    "healthy": "bold green",
    "progressing": "bold cyan",
    "pausing": "bold cyan",
    "waiting": "bold yellow",
    "inconclusive": "bold yellow",
    "stopped": "bold yellow",
    "aborted": "bold red",
    "degraded": "bold red",
}
_OVER = ("healthy", "aborted", "degraded")  # Argo Rollouts has set the step back, or to the end
_OUTCOMES = {"pass": "green", "fail": "red", "error": "red", "inconclusive": "yellow", "running": "cyan"}


def screen(release: Release) -> RenderableType:
    """All that `canari release status` shows."""
    head = Text.assemble((release.phase.upper(), _STYLES[release.phase]), f"  {release.namespace}/{release.name}")
    if release.why:
        head.append(f": {release.why}")
    parts: list[RenderableType] = [head]
    if release.phase not in _OVER:
        parts.append(Text(release.where))
    parts += [Text(), _versions(release), Text(), _routes(release)]
    if release.gates:
        parts += [Text(), _gates(release)]
    if problems := [pod for pod in _all_pods(release) if pod.problem]:
        parts += [Text(), *(Text(f"{pod.name}: {pod.problem}", style="red") for pod in problems)]
    if release.next:
        parts += [Text(), Text("Next, one of:" if len(release.next) > 1 else "Next:")]
        parts += [Text(f"  {command}", style="bold", no_wrap=True) for command in release.next]
    return Group(*parts)


def lines(before: Release | None, now: Release) -> list[str]:
    """What changed from one look to the next, a line each with the time of day (UTC)."""
    if before == now:
        return []
    said = [] if before and _summary(before) == _summary(now) else [_summary(now)]
    known = set(before.gates) if before else set()
    said += [f"gate at step {gate.step}: {gate.outcome}. {gate.why}".rstrip(". ") for gate in now.gates if gate not in known]
    # Once a pod: what it says alternates (ErrImagePull, ImagePullBackOff, ...) as the kubelet tries again.
    troubled = {pod.name for pod in _all_pods(before) if pod.problem} if before else set()
    said += [f"{pod.name}: {pod.problem}" for pod in _all_pods(now) if pod.problem and pod.name not in troubled]
    if now.next and (before is None or before.next != now.next):
        said += [f"next: {command}" for command in now.next]
    stamp = datetime.now(UTC).strftime("%H:%M:%S")
    return [f"{stamp} {line}" for line in said]


def past(revisions: list[Revision]) -> RenderableType:
    """All that `canari release history` shows."""
    table = columns("revision", "version", "image", "pod hash", "since", "gates", "what came of it")
    for revision in revisions:
        gates = ", ".join(
            f"{'step ' + str(gate.step + 1) if gate.step is not None else '?'} {gate.outcome}" for gate in revision.gates
        )
        table.add_row(
            ", ".join(map(str, (revision.revision, *revision.earlier_revisions))),
            revision.model or "?",
            short(revision.image) or "gone",
            revision.hash,
            revision.created,
            gates or "none",
            revision.fate,
        )
    return table


def _summary(release: Release) -> str:
    # Why it progresses changes with every pod, and the pods are told below.
    parts = [release.phase + (f" ({release.why})" if release.why and release.phase != "progressing" else "")]
    if release.phase not in _OVER:
        parts.append(release.where)
    parts += [f"{route.kind} {_percent(route.stable)}/{_percent(route.candidate)}" for route in release.routes]
    parts += [f"{version.role} {version.shown} {_ready(version.pods)} ready" for version in release.versions]
    return "; ".join(parts)


def _versions(release: Release) -> Table:
    table = columns("version", "role", "image", "revision", "pod hash", "ready", "restarts")
    for version in release.versions:
        table.add_row(
            version.model or "?",
            version.role,
            short(version.image),
            str(version.revision),
            version.hash,
            _ready(version.pods),
            str(sum(pod.restarts for pod in version.pods)),
        )
    if release.gate_pods:
        table.add_row("the gate's own pods", "", "", "", "", _ready(release.gate_pods), "")
    return table


def _routes(release: Release) -> Table:
    table = columns("route", "host names", "stable", "candidate")
    candidate: VersionState | None = release.version("candidate")
    for route in release.routes:
        table.add_row(
            f"{route.kind} {route.name}",
            ", ".join(route.hostnames) or "any",
            _percent(route.stable),
            _percent(route.candidate) if candidate or route.candidate else "",
        )
        if _is_absent(route):
            table.add_row("", "the route is not there, or sends no caller to this release", "", "")
    return table


def _gates(release: Release) -> Table:
    table = columns("gate", "verdict", "why")
    for gate in release.gates:
        table.add_row(f"step {gate.step or '?'}", Text(gate.outcome, style=_OUTCOMES[gate.outcome]), gate.why)
    return table


def columns(*names: str) -> Table:
    """An empty table without lines."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in names:
        table.add_column(name, overflow="fold")
    return table


def _all_pods(release: Release) -> list[PodState]:
    return [pod for version in release.versions for pod in version.pods] + list(release.gate_pods)


def _ready(pods: tuple[PodState, ...]) -> str:
    return f"{sum(pod.ready for pod in pods)}/{len(pods)}"


def _percent(weight: float | None) -> str:
    return "-" if weight is None else f"{weight:g} %"


def _is_absent(route: RouteState) -> bool:
    return route.stable is None
