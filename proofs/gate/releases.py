"""Releases drawn from recorded traces.

A gate is put together of whole stretches of 10 to 30 s, each cut from any place of any trace, both servers together, so that
what hangs together within a server's latencies and between both servers' stays together. In each stretch the servers' parts are
changed at random: drawn so, the candidate differs from the baseline in nothing but chance.
"""

from collections.abc import Sequence

import numpy as np

from proofs.gate.traces import Trace, join

SHORTEST, LONGEST = 10.0, 30.0  # seconds of a stretch


def draw_gate(traces: Sequence[Trace], seconds: float, random: np.random.Generator) -> Trace:
    """The requests of one gate of so many seconds."""
    shares = np.array([trace.seconds for trace in traces])
    shares /= shares.sum()
    drawn: list[Trace] = []
    left = seconds
    while left > 0:
        trace = traces[random.choice(len(traces), p=shares)]
        length = min(left, trace.seconds, random.uniform(SHORTEST, LONGEST))
        stretch = trace.cut(random.uniform(0, trace.seconds - length), length)
        drawn.append(stretch.swapped() if random.random() < 0.5 else stretch)
        left -= length
        if left < 1e-6:
            break
    return join(drawn)


def stream(*names: object) -> np.random.Generator:
    """A random stream of its own for each case, made from what it is called."""
    return np.random.default_rng([*"/".join(map(str, names)).encode()])
