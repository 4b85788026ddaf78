"""The self-starting models of `nls`: curves of growth, decay and binding, as stats' SS functions compute them."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from canari.intake.r.columns import Column
from canari.intake.r.functions.calls import Call, Function, function


def _of_numbers(formals: str, curve: Callable[..., Any]) -> Function:
    def calculate(call: Call) -> Column:
        return Column(curve(*(call.numbers(name) for name in formals.split())), "number")

    return calculate


_CURVES: Mapping[str, tuple[str, Callable[..., Any]]] = {
    "SSasymp": ("input Asym R0 lrc", lambda x, end, start, rate: end + (start - end) * np.exp(-np.exp(rate) * x)),
    "SSasympOff": ("input Asym lrc c0", lambda x, end, rate, origin: end * (1.0 - np.exp(-np.exp(rate) * (x - origin)))),
    "SSasympOrig": ("input Asym lrc", lambda x, end, rate: end * (1.0 - np.exp(-np.exp(rate) * x))),
    "SSbiexp": (
        "input A1 lrc1 A2 lrc2",
        lambda x, first, fast, second, slow: first * np.exp(-np.exp(fast) * x) + second * np.exp(-np.exp(slow) * x),
    ),
    "SSfol": (
        "Dose input lKe lKa lCl",
        lambda dose, x, out, into, clearance: (
            dose
            * np.exp((out + into) - clearance)
            * (np.exp(-np.exp(out) * x) - np.exp(-np.exp(into) * x))
            / (np.exp(into) - np.exp(out))
        ),
    ),
    "SSfpl": (
        "input A B xmid scal",
        lambda x, low, high, middle, scale: low + (high - low) / (1.0 + np.exp((middle - x) / scale)),
    ),
    "SSgompertz": ("x Asym b2 b3", lambda x, end, b2, b3: end * np.exp(-b2 * b3**x)),
    "SSlogis": ("input Asym xmid scal", lambda x, end, middle, scale: end / (1.0 + np.exp((middle - x) / scale))),
    "SSmicmen": ("input Vm K", lambda x, most, half: most * x / (half + x)),
    "SSweibull": ("x Asym Drop lrc pwr", lambda x, end, drop, rate, power: end - drop * np.exp(-np.exp(rate) * x**power)),
}
for _name, (_formals, _curve) in _CURVES.items():
    function(_name, _formals)(_of_numbers(_formals, _curve))
