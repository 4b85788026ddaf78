"""Whether a server keeps a scenario's objectives: judged as a gate judges its candidate, with no baseline beside it."""

import math
import re
from collections.abc import Sequence

import msgspec
import numpy as np

from canari.gate.judging import Measured, judge_load
from canari.gate.plan import Load
from canari.gate.recording import Request, to_table
from canari.gate.rules import Rules
from canari.gate.statistics import Risks
from canari.loadtest.scenario import Scenario

_QUANTILE = re.compile(r"p(\d+(?:\.\d+)?)")
_MARGIN = 3  # times the fewest requests: with those not one may be beyond


def judge(requests: Sequence[Request], load: Load, scenario: Scenario) -> Measured:
    """One result an objective, and one of the generator's health."""
    table = to_table(requests)
    alone = msgspec.structs.replace(table, arm=np.full(len(table), "candidate"))
    rules = Rules(file=scenario.file, sha256=scenario.sha256, limits=scenario.objectives)
    return judge_load(alone, load, rules, Risks(scenario.false_alarms / len(scenario.judged), scenario.misses))


def requests_needed(scenario: Scenario) -> int:
    """How many requests let every objective pass, where few of the answers are beyond its limit.

    All of n requests are within what a share p is beyond with probability (1 - p)^n, which is to be at most the risk of a miss.
    """
    most = 1
    for name, limit in scenario.objectives.items():
        if quantile := _QUANTILE.fullmatch(name):
            within = float(quantile[1]) / 100
        elif name == "error_rate":
            within = 1 - limit["max"]
        elif name == "throughput":
            within = limit["min"]
        else:
            continue
        most = max(most, math.ceil(math.log(scenario.misses) / math.log(within)))
    return _MARGIN * most
