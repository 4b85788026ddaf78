"""The networks of the package nnet: one hidden layer at most, as its C code computes them."""

import numpy as np

from canari.errors import IntakeError
from canari.intake.onnx_graph import Array
from canari.intake.rds import RObject


class Network:
    """From inputs [n, p] to outputs [n, k]; `inputs` and `outputs` are p and k."""

    def __init__(self, model: RObject) -> None:
        self.inputs, hidden, self.outputs = (int(count) for count in model.require("n").doubles())
        starts = model.require("nconn").doubles().astype(int)
        sources = model.require("conn").doubles().astype(int)
        weights = model.require("wts").doubles()
        units = 1 + self.inputs + hidden + self.outputs
        if len(starts) != units + 1 or starts[-1] != len(sources) or len(sources) != len(weights):
            raise IntakeError(f"the network is damaged: {len(weights)} weights for {len(sources)} connections of {units} units")
        # Unit 0 is the bias; then come inputs, hidden units and outputs. [from, to]
        table = np.zeros((units, units))
        for unit in range(units):
            connections = slice(starts[unit], starts[unit + 1])
            np.add.at(table[:, unit], sources[connections], weights[connections])
        first_hidden, first_output = 1 + self.inputs, 1 + self.inputs + hidden
        self._to_hidden = table[1:first_hidden, first_hidden:first_output]
        self._hidden_bias = table[:1, first_hidden:first_output]
        self._skipped = table[1:first_hidden, first_output:]
        self._to_output = table[first_hidden:first_output, first_output:]
        self._output_bias = table[:1, first_output:]
        # From this unit on they are linear.
        self._linear = int(model.require("nsunits").doubles()[0]) <= first_output
        self._softmax = bool(model.require("softmax").doubles()[0])

    def __call__(self, inputs: Array) -> Array:
        """The outputs; shares that sum to 1 for softmax (and censored) networks."""
        value: Array = self._output_bias
        if self._to_hidden.size:
            value = _sigmoid(inputs @ self._to_hidden + self._hidden_bias) @ self._to_output + value
        if not self._to_hidden.size or self._skipped.any():
            value = inputs @ self._skipped + value
        if not self._linear:
            return _sigmoid(value)
        if not self._softmax:
            return value
        powers = np.exp(value - np.max(value, axis=1, keepdims=True))
        shares: Array = powers / (powers @ np.ones((self.outputs, 1)))
        return shares


def _sigmoid(x: Array) -> Array:
    """Exactly 0 and 1 beyond 15."""
    value: Array = np.where(x < -15.0, 0.0, np.where(x > 15.0, 1.0, 1.0 / (1.0 + np.exp(-x))))
    return value
