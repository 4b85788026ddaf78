"""Latencies of both arms by blocks of time, and the bootstrap over them.

Requests are not independent: what slows one slows its neighbours, often those of both arms. So whole stretches of seconds are
drawn, with replacement, the same for both arms: what both suffered in the same seconds cancels out of their ratio (the block
bootstrap of Künsch, Annals of Statistics 17, 1989, on pairs). The spread of the draws gives the standard error, Student's t the
interval around the value: a percentile of the draws would be too narrow for a few blocks (Efron and Tibshirani, An Introduction
to the Bootstrap, 1993, sections 12 and 13). Ratios are taken as logarithms, which are nearer to symmetric.
"""

import math
from collections.abc import Mapping
from functools import cached_property, lru_cache
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import stats

from canari.gate.plan import ARMS, Arm
from canari.gate.statistics import Interval, Levels, Numbers, quantile_ranks

_FEWEST, _MOST = 10, 40  # blocks; of about a second where there are between so many seconds
_COARSE_FROM = 20  # blocks, from which on pairs of neighbours are drawn as well
_DRAWS = 400
_WIDTH = 0.005  # of a bin, in logarithms: half a percent
_LEAST_MS, _ENDLESS_MS = 1e-3, 1e8
_FIRST_BIN, _LAST_BIN = (round(math.log(end) / _WIDTH) for end in (_LEAST_MS, _ENDLESS_MS))
_BINS = _LAST_BIN - _FIRST_BIN + 1
_BOUNDLESS = 1e5  # times as slow: no number that says more than "endless"
_UNSEEN = 4  # counts that a share of few may well have missed: (0 + 4) ** 0.5 standard errors bound it as the exact test does

End: TypeAlias = Literal["least", "innocent", "most", "charged"]
_UPPER: tuple[End, ...] = ("most", "charged")


class Estimate(NamedTuple):
    """A value and its interval; infinite where it is not bounded."""

    value: float
    interval: Interval


class Compared(NamedTuple):
    """A latency of the candidate in ms beside the baseline's."""

    ours: float
    theirs: float
    ratio: Interval
    difference: Interval  # ms


class Latencies(NamedTuple):
    """One arm's measured requests, n of them, each known to lie between two numbers of milliseconds."""

    block: npt.NDArray[np.int64]  # [n]
    ends: Mapping[End, Numbers]  # [n] each; infinity is endless
    missing: int  # requests of which nothing is known

    @property
    def n(self) -> int:
        """All that were asked for."""
        return len(self.block) + self.missing


class Blocks:
    """The latencies of both arms, ready to be drawn from.

    Where requests are missing there is no upper end: when they were due is not known, so neither is how much they hang together.

    The `ends` of a latency: "least" and "most" without the generator's own delay; "innocent" is "least" where a failed request
    tells nothing (a baseline's), "charged" is "most" with the generator's delay.
    """

    def __init__(self, arms: Mapping[Arm, Latencies], count: int, seed: int = 0) -> None:
        self._arms = arms
        self._count = count
        self._random = np.random.default_rng(seed)
        self._drawn: dict[tuple[Arm, int, float], _Drawn] = {}

    @cached_property
    def _weights(self) -> npt.NDArray[np.float32]:
        """How often each block is drawn: [draws, blocks], first block by block, then (if there are enough) pair by pair."""
        single = self._random.multinomial(self._count, np.full(self._count, 1 / self._count), _DRAWS)
        if self._count < _COARSE_FROM:
            return single.astype(np.float32)
        pairs = self._count // 2
        double = self._random.multinomial(pairs, np.full(pairs, 1 / pairs), _DRAWS).repeat(2, axis=1)
        return np.concatenate([single, double]).astype(np.float32)

    def _half_width(self, draws: Numbers, level: float, floor: float = 0.0) -> float:
        """How far the truth may be from the value, from `draws` [draws] of it; the standard error is at least `floor`.

        By the longer of two lengths of blocks where there are enough: dependence over longer than one block would make the
        shorter's too small.
        """
        widest = 0.0
        for start, blocks in ((0, self._count), (_DRAWS, self._count // 2)):
            if part := draws[start : start + _DRAWS].tolist():
                widest = max(widest, max(float(np.std(part, ddof=1)), floor) * _t(blocks - 1, level))
        return widest

    def _of(self, arm: Arm, end: End) -> "_Drawn":
        latencies = self._arms[arm]
        values, unknown = latencies.ends[end], math.inf if end in _UPPER else 0.0
        # Where nothing failed and nothing was starved or is missing, several ends are one array, which is drawn from once.
        key = arm, id(values), unknown if latencies.missing else 0.0
        if key not in self._drawn:
            self._drawn[key] = _Drawn(latencies.block, values, latencies.missing, unknown, self._weights)
        return self._drawn[key]

    def quantile(self, arm: Arm, q: float, levels: Levels) -> Estimate:
        """The q-quantile of one arm's latency in ms; the generator's own delay is charged to the server at the upper end only.

        The interval covers also that of the order statistics, which is exact for independent requests.
        """
        n = self._arms[arm].n
        if n == 0:
            return Estimate(math.nan, (0.0, math.inf))
        least, most = self._of(arm, "least"), self._of(arm, "charged")
        first, last = quantile_ranks(n, q, levels)
        low = min(_scaled(least.quantile(q), -self._half_width(least.logs(q), levels.low, _WIDTH)), least.at_rank(first))
        high = max(_scaled(most.quantile(q), self._half_width(most.logs(q), levels.high, _WIDTH)), most.at_rank(last))
        if self._arms[arm].missing:
            high = math.inf
        return Estimate(most.quantile(q), (low, high))

    def compared(self, q: float, levels: Levels) -> Compared:
        """The candidate's q-quantile beside the baseline's.

        A failed request is endless where the candidate's; the baseline's says nothing of how fast it would have been.
        """
        ours_low, theirs_high = self._of("candidate", "least"), self._of("baseline", "most")
        ours_high, theirs_low = self._of("candidate", "most"), self._of("baseline", "innocent")
        ratio, difference = [0.0, math.inf], [-math.inf, math.inf]
        if self._bounded(q, levels):
            ours, theirs = ours_low.quantile(q), theirs_high.quantile(q)
            if math.isfinite(theirs):
                width = self._half_width(ours_low.logs(q) - theirs_high.logs(q), levels.low, _WIDTH)
                ratio[0] = _exp(_log(ours) - _log(theirs) - width)
                least = min(ours, _ENDLESS_MS) - self._half_width(ours_low.values(q) - theirs_high.values(q), levels.low)
                difference[0] = least - theirs if least < _ENDLESS_MS else math.inf
            ours, theirs = ours_high.quantile(q), theirs_low.quantile(q)
            if math.isfinite(ours) and self._complete:
                width = self._half_width(ours_high.logs(q) - theirs_low.logs(q), levels.high, _WIDTH)
                ratio[1] = _exp(_log(ours) - _log(theirs) + width)
                difference[1] = ours - theirs
                difference[1] += self._half_width(ours_high.values(q) - theirs_low.values(q), levels.high)
        return Compared(
            ours=ours_high.quantile(q),
            theirs=theirs_high.quantile(q),
            ratio=(ratio[0], ratio[1]),
            difference=(difference[0], difference[1]),
        )

    @property
    def _complete(self) -> bool:
        return not any(arm.missing for arm in self._arms.values())

    def _bounded(self, q: float, levels: Levels) -> bool:
        """Whether either arm's requests are enough to bound its q-quantile at all."""
        return all(
            n and first >= 1 and last <= n
            for n in (arm.n for arm in self._arms.values())
            for first, last in [quantile_ranks(n, q, levels)]
        )

    def exceedance(self, times: float, min_ms: float, levels: Levels) -> tuple[Estimate, float, tuple[float, float]]:
        """By how much a larger share of the candidate's requests than of the baseline's is slower than `times` its median.

        Also the number of milliseconds that this is (at least `min_ms`), and both shares, the candidate's first.
        """
        if not all(self._arms[arm].n for arm in ARMS):
            return Estimate(math.nan, (-1.0, 1.0)), math.nan, (math.nan, math.nan)
        theirs_high, theirs_low = self._of("baseline", "most"), self._of("baseline", "innocent")
        ours_low, ours_high = self._of("candidate", "least"), self._of("candidate", "most")
        ends = []
        for ours, theirs, level, sign in ((ours_low, theirs_high, levels.low, -1), (ours_high, theirs_low, levels.high, 1)):
            # What is slow is told by what is known best of the baseline's median: a missing request moves it by next to nothing.
            above = max(times * theirs.quantile(0.5), min_ms)
            difference = ours.beyond(above) - theirs.beyond(above)
            thresholds = np.maximum(times * theirs.values(0.5), min_ms)
            draws = ours.draws_beyond(thresholds) - theirs.draws_beyond(thresholds)
            counts = ours.beyond(above) * ours.n + theirs.beyond(above) * theirs.n + _UNSEEN
            ends.append(difference + sign * self._half_width(draws, level, math.sqrt(counts) / min(ours.n, theirs.n)))
        above = max(times * theirs_high.quantile(0.5), min_ms)
        shares = ours_high.beyond(above), theirs_high.beyond(above)
        return Estimate(shares[0] - shares[1], (max(ends[0], -1.0), min(ends[1], 1.0) if self._complete else 1.0)), above, shares


class _Drawn:
    """One end of one arm's latencies: as they are, and in every draw, counted in bins of half a percent."""

    def __init__(
        self,
        block: npt.NDArray[np.int64],
        latencies: Numbers,
        missing: int,
        unknown: float,
        weights: npt.NDArray[np.float32],
    ) -> None:
        self._sorted = np.sort(np.concatenate([latencies, np.full(missing, unknown)]))
        self.n = len(self._sorted)
        blocks = weights.shape[1]
        counts = np.bincount(block * _BINS + _bin(latencies), minlength=blocks * _BINS).reshape(blocks, _BINS)
        if missing:
            counts[counts.sum(axis=1).argmin(), _bin(np.array(unknown))] += missing  # where most are missing
        occupied = np.flatnonzero(counts.any(axis=0))
        self._logs: Numbers = np.asarray((occupied + _FIRST_BIN) * _WIDTH, np.float64)  # [bins]
        # The sums of the draws, not sums in each of them: exact, for counts up to 2^24.
        self._below = weights @ np.cumsum(counts[:, occupied], axis=1).astype(np.float32)  # [draws, bins]
        self._quantiles: dict[float, npt.NDArray[np.int64]] = {}

    def quantile(self, q: float) -> float:
        """The value at rank ceil(q n); NaN of none."""
        if not self.n:
            return math.nan
        return self.at_rank(max(math.ceil(q * self.n), 1))

    def at_rank(self, rank: int) -> float:
        """The rank-th smallest, from 1; 0 and infinity beyond the ends."""
        if rank < 1:
            return 0.0
        return float(self._sorted[rank - 1]) if rank <= self.n else math.inf

    def _bins(self, q: float) -> npt.NDArray[np.int64]:
        if q not in self._quantiles:
            wanted = q * self._below[:, -1:]
            self._quantiles[q] = np.minimum((self._below < wanted).sum(axis=1), len(self._logs) - 1)
        return self._quantiles[q]

    def logs(self, q: float) -> Numbers:
        """The logarithm of the q-quantile in each draw [draws]."""
        return self._logs[self._bins(q)]

    def values(self, q: float) -> Numbers:
        """The q-quantile in each draw [draws]; endless is a very large number."""
        return np.exp(self._logs[self._bins(q)])

    def beyond(self, threshold: float) -> float:
        """The share beyond a threshold."""
        return 1 - float(np.searchsorted(self._sorted, threshold, side="right")) / self.n

    def draws_beyond(self, thresholds: Numbers) -> Numbers:
        """The share beyond a threshold of its own in each draw [draws]."""
        last = np.searchsorted(self._logs, np.log(np.maximum(thresholds, _LEAST_MS)), side="right") - 1
        rows = np.arange(len(thresholds))
        below = np.where(last >= 0, self._below[rows, np.maximum(last, 0)], 0.0)
        return np.asarray(1 - below / np.maximum(self._below[:, -1], 1), np.float64)


def _bin(latencies: Numbers) -> npt.NDArray[np.int64]:
    """In which bin each lies, from 0."""
    return np.rint(np.log(np.clip(latencies, _LEAST_MS, _ENDLESS_MS)) / _WIDTH).astype(np.int64) - _FIRST_BIN


def block_count(seconds: float) -> int:
    """Into how many blocks so many seconds are cut: an even number."""
    return 2 * round(min(max(seconds, _FEWEST), _MOST) / 2)


@lru_cache(maxsize=4096)
def _t(freedom: int, level: float) -> float:
    return float(stats.t.ppf(1 - level, freedom))


def _log(number: float) -> float:
    return math.log(min(max(number, _LEAST_MS), _ENDLESS_MS))


def _exp(log: float) -> float:
    return math.exp(log) if log < math.log(_BOUNDLESS) else math.inf


def _scaled(number: float, log: float) -> float:
    return number * _exp(log) if math.isfinite(number) else number
