"""The report's pictures: SVG whose colours are the page's own variables, so that light and dark both read well.

Each picture is drawn twice, for a wide page and for a phone's; the page shows the one that fits.
"""

import io
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

Numbers = npt.NDArray[np.float64]

# Drawn in these, replaced by CSS variables afterwards.
_STABLE, _CANDIDATE, _INK, _FAINT, _FAIL = "#00000a", "#00000b", "#00000c", "#00000d", "#00000e"
_VARIABLES = {_STABLE: "--stable", _CANDIDATE: "--candidate", _INK: "--ink", _FAINT: "--line", _FAIL: "--fail"}
COLOURS = {"stable": _STABLE, "baseline": _STABLE, "candidate": _CANDIDATE}
_WIDTHS = {"wide": 7.6, "narrow": 3.7}  # inches; 1 inch is 96 CSS pixels
_NARROW_PIXELS = 500
_MAX_POINTS = 1200  # of a scatter, so that the page stays small

mpl.use("svg")


def weights_over_time(seconds: Sequence[float], weights: Sequence[float], end: float, bins: Numbers, share: Numbers) -> str:
    """The candidate's weight as set, and the share of the callers' answers that it gave, per second."""

    def draw(axes: Axes) -> None:
        axes.step([*seconds, end], [*weights, weights[-1]], where="post", color=_INK, linewidth=1.2, label="weight set")
        axes.plot(bins, share, ".", color=_CANDIDATE, markersize=3.5, label="share of answers")
        axes.set_ylim(-4, 104)
        axes.set_xlabel("seconds")
        axes.set_ylabel("candidate, %")
        _legend(axes)

    return _picture("Weight of the candidate and its share of the callers' answers", draw)


def latency_over_time(title: str, arms: Mapping[str, tuple[Numbers, Numbers]]) -> str:
    """Of each arm's requests (seconds, milliseconds) the median and the 95th percentile per second, on a log scale."""

    def draw(axes: Axes) -> None:
        for name, (seconds, latencies) in arms.items():
            if not len(seconds):
                continue
            bins = np.floor(seconds).astype(int)
            at = np.unique(bins)
            for level, style in ((50, "-"), (95, ":")):
                values = [np.percentile(latencies[bins == second], level) for second in at]
                axes.plot(at + 0.5, values, style, color=COLOURS[name], linewidth=1.3, label=f"{name} p{level}")
        _log_milliseconds(axes.yaxis)
        axes.set_yscale("log")
        _log_milliseconds(axes.yaxis)
        axes.set_xlabel("seconds")
        axes.set_ylabel("latency, ms")
        _legend(axes)

    return _picture(title, draw)


def latency_distribution(title: str, arms: Mapping[str, Numbers]) -> str:
    """Each arm's latencies in milliseconds: the share of requests that took at least so long, both axes logarithmic."""

    def draw(axes: Axes) -> None:
        for name, latencies in arms.items():
            if not len(latencies):
                continue
            values = np.sort(latencies)
            slower = 100 * (1 - np.arange(len(values)) / len(values))
            keep = np.unique(np.geomspace(1, len(values), min(len(values), 400)).astype(int)) - 1
            keep = np.unique(np.concatenate([keep, len(values) - 1 - keep]))
            axes.step(values[keep], slower[keep], where="post", color=COLOURS[name], linewidth=1.5, label=name)
        for level in (50, 5, 1):
            axes.axhline(level, color=_FAINT, linewidth=0.8, zorder=0)
        axes.set_xscale("log")
        axes.set_yscale("log")
        _log_milliseconds(axes.xaxis)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel("latency, ms")
        axes.set_ylabel("requests at least as slow, %")
        _legend(axes)

    return _picture(title, draw)


def errors_over_time(arms: Mapping[str, Numbers], end: float) -> str:
    """Failed requests of each arm per second (`arms`: the seconds at which they were sent)."""

    def draw(axes: Axes) -> None:
        edges = np.arange(0, max(2, int(np.ceil(end)) + 1))
        bottom = np.zeros(len(edges) - 1)
        for name, seconds in arms.items():
            counts = np.histogram(seconds, edges)[0]
            colour = COLOURS.get(name, _FAIL)
            axes.bar(edges[:-1] + 0.5, counts, width=0.9, bottom=bottom, color=colour, label=f"{name}: {len(seconds)}")
            bottom += counts
        axes.set_ylim(0, max(1.0, bottom.max() * 1.1))
        axes.set_xlim(0, edges[-1])
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("seconds")
        axes.set_ylabel("failed requests per second")
        _legend(axes)

    return _picture("Failed requests of callers", draw)


def predictions(title: str, stable: Numbers, candidate: Numbers) -> str:
    """One point a row: what stable predicts against what the candidate predicts; the diagonal is agreement."""

    def draw(axes: Axes) -> None:
        both = np.isfinite(stable) & np.isfinite(candidate)
        x, y = stable[both], candidate[both]
        if len(x) > _MAX_POINTS:
            chosen = np.random.default_rng(0).choice(len(x), _MAX_POINTS, replace=False)
            x, y = x[chosen], y[chosen]
        if len(x):
            low, high = min(x.min(), y.min()), max(x.max(), y.max())
            axes.plot([low, high], [low, high], color=_INK, linewidth=0.8)
        axes.plot(x, y, "o", color=_CANDIDATE, markersize=3, alpha=0.5, markeredgewidth=0)
        axes.set_xlabel("stable predicts")
        axes.set_ylabel("candidate predicts")

    return _picture(title, draw, height=3.4)


def _picture(title: str, draw: Callable[[Axes], None], height: float = 2.5) -> str:
    pictures = [
        f'<div class="{size}">{_svg(draw, width, height if size == "wide" else height * 0.95, title)}</div>'
        for size, width in _WIDTHS.items()
    ]
    return "".join(pictures)


def _svg(draw: Callable[[Axes], None], width: float, height: float, title: str) -> str:
    settings: dict[Any, Any] = {
        "svg.fonttype": "none",
        "svg.hashsalt": f"{title} {width}",  # ids that no other picture of the page has
        "font.family": "sans-serif",
        "font.size": 8.5,
        "text.color": _INK,
        "axes.edgecolor": _FAINT,
        "axes.labelcolor": _INK,
        "xtick.color": _INK,
        "ytick.color": _INK,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.color": _FAINT,
        "grid.linewidth": 0.5,
        "legend.frameon": False,
    }
    with mpl.rc_context(settings):
        figure = Figure(figsize=(width, height), layout="constrained")
        draw(figure.subplots())
        output = io.StringIO()
        figure.savefig(output, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = output.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r' id="[a-z_0-9]*_\d+"', "", svg)
    svg = re.sub(r'font: ([\d.]+)px [^;"]*', r"font: \1px var(--font)", svg)
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, f"var({variable})")
    escaped = title.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    return svg.replace("<svg ", f'<svg role="img" aria-label="{escaped}" ', 1)


def _legend(axes: Axes) -> None:
    if axes.get_legend_handles_labels()[0]:
        columns = 4 if axes.figure.bbox.width > _NARROW_PIXELS else 2
        axes.figure.legend(loc="outside upper left", ncols=columns, fontsize=8, handlelength=1.6, columnspacing=1.2)


def _log_milliseconds(axis: Any) -> None:
    axis.set_major_locator(LogLocator(10, subs=(1.0, 3.0) if axis.axis_name == "y" else (1.0,)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())
