"""Decision trees of the package rpart: methods anova, class, poisson and exp, with surrogate splits."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from canari.errors import IntakeError
from canari.intake.onnx_graph import Array, sum_of_trees, take
from canari.intake.r.columns import Column
from canari.intake.r.model import NUMBER, Request, class_outputs, class_predictions
from canari.intake.r.terms import Need, Terms
from canari.intake.rds import NA_INTEGER, RObject
from canari.intake.tree_ensemble import Tree
from canari.model import Predictions

CLASSES = (("rpart",),)

_LEFT, _RIGHT = -1.0, 1.0
_MOST_SURROGATES = 50  # the signs of more do not add up exactly

Doubles = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]


class Model:
    """What `predict` answers for new rows: the fitted value of the node that a row ends in, or its class and probabilities."""

    answers_missing = True

    def __init__(self, model: RObject, request: Request) -> None:
        request.take_only("an rpart")
        method = model.require("method").strings()[0]
        if method not in ("anova", "class", "poisson", "exp"):
            raise IntakeError(f"an rpart of method {method!r} is not translated; known are anova, class, poisson and exp")
        terms = model.require("terms")
        # R's predictions leave an offset out.
        attributes = {name: value for name, value in terms.attributes.items() if name != "offset"}
        self._terms = Terms(RObject(terms.type, terms.value, attributes), model.attributes.get("xlevels"))
        self._nodes = _nodes(model)
        self._splits = _splits(model, self._nodes)
        frame = model.require("frame")
        self._fitted = frame.require("yval").doubles()
        if method == "class":
            classes = tuple(map(str, model.attributes["ylevels"].strings()))
            self._probabilities = _probabilities(frame, classes)
            self.outputs = class_outputs(request, classes, f"an rpart with {len(classes)} classes")
        else:
            self.outputs = NUMBER
            request.choose(f"an rpart of method {method!r}", "number")

    def needs(self) -> Mapping[str, Need]:
        """The columns that the formula takes, without an offset's."""
        return self._terms.needs()

    def predict(self, columns: Mapping[str, Column]) -> Predictions:
        """The predictions of the rows in `columns`."""
        node = self._node(columns)
        if self.outputs == NUMBER:
            return {"prediction": take(self._fitted, node)}
        winner = take(self._fitted - 1.0, node)
        return class_predictions(self.outputs, take(self._probabilities, np.reshape(node, (-1,))), winner, np.isnan(winner))

    def _node(self, columns: Mapping[str, Column]) -> Array:
        """The position in the frame of the node that each row ends in, [n, 1]."""
        names, parts = [], []
        for name, column in self._terms.frame(columns).items():
            values = column.lookup([*map(float, range(1, len(column.levels) + 1)), np.nan]) if column.is_text else column.values
            names += _matrix_names(name, values.shape[1])
            parts.append(values)
        matrix = np.concatenate(parts, axis=1)
        if not len(self._splits.nodes):
            first = take(matrix, [0], axis=1)
            return np.where(np.isnan(first), 0, 0)
        missing = [name for name in self._splits.names if name not in names]
        if missing:
            raise IntakeError(f"the tree splits on {missing[0]!r}, a matrix's column; give it as a column of the data")
        return sum_of_trees([self._tree()], self._splits.directions(matrix, names))

    def _tree(self) -> Tree:
        """From the direction at each branch to the node's position; a row without a direction stays at the branch."""
        nodes, branches = self._nodes, self._splits.nodes
        n, k = len(nodes.left), len(branches)
        # Of each branch the frame's node asks whether to go left, and one more whether to go right.
        second = n + np.arange(k)
        feature, threshold = np.zeros(n + 2 * k, np.int64), np.zeros(n + 2 * k)
        left, right = np.zeros(n + 2 * k, np.int64), np.zeros(n + 2 * k, np.int64)
        feature[branches] = feature[second] = np.arange(k)
        threshold[branches], threshold[second] = _LEFT / 2, _RIGHT / 2
        left[branches], right[branches] = nodes.left[branches], second
        left[second], right[second] = second + k, nodes.right[branches]
        is_leaf = np.ones(n + 2 * k, bool)
        is_leaf[branches] = is_leaf[second] = False
        position = np.concatenate([np.arange(n), np.zeros(k), branches]).astype(np.float64)
        return Tree(feature=feature, threshold=threshold, left=left, right=right, is_leaf=is_leaf, value=position[:, None])


@dataclass(frozen=True)
class _Nodes:
    """The rows of the frame: the positions of their children (-1: none), observations, competing and surrogate splits."""

    is_leaf: npt.NDArray[np.bool_]
    left: Indices
    right: Indices
    n: Doubles
    competitors: Indices
    surrogates: Indices


@dataclass(frozen=True)
class _Splits:
    """For each of the branches at the positions `nodes` what is asked, in turn, until an answer is left or right.

    Arrays are [turns, branches]. A number below `threshold` answers `below`, else the opposite; a code answers what is in
    `table` from `start` on, where there is a table for it (else -1).
    """

    nodes: Indices
    names: list[str]
    variable: Indices  # a position in `names`
    threshold: Doubles
    below: Doubles
    start: Indices
    table: Doubles
    majority: Doubles  # [branches]: the direction of a row without an answer

    def directions(self, matrix: Array, names: list[str]) -> Array:
        """The direction at each branch, [n, branches], from the columns of `matrix`; 0 for none."""
        turns, branches = self.variable.shape
        where = np.array([names.index(name) for name in self.names], np.int64)[self.variable]
        asked = take(matrix, where.ravel(), axis=1)
        missing = np.isnan(asked)
        answer = np.where(asked < self.threshold.reshape(1, -1), self.below.reshape(1, -1), -self.below.reshape(1, -1))
        start = self.start.reshape(1, -1)
        if (start >= 0).any():
            code = np.where(missing | (start < 0), 0.0, asked - 1.0 + start)
            answer = np.where(start < 0, answer, take(self.table, code))
        answer = np.reshape(np.where(missing, 0.0, answer), (-1, turns, branches))
        # The first answer outweighs all that follow.
        weights = 2.0 ** np.arange(turns, 0, -1)
        total = np.reshape(weights[None, None, :] @ answer, (-1, branches))
        return np.sign(total + self.majority[None, :])


def _nodes(model: RObject) -> _Nodes:
    frame = model.require("frame")
    names = frame.require("var").strings()
    numbers = _row_names(frame, len(names))
    position = {number: i for i, number in enumerate(numbers)}
    is_leaf = np.array([name == "<leaf>" for name in names])
    left, right = (
        np.array([-1 if leaf else position.get(2 * number + side, -2) for number, leaf in zip(numbers, is_leaf, strict=True)])
        for side in (0, 1)
    )
    if numbers[:1] != [1] or (left == -2).any() or (right == -2).any():
        raise IntakeError("the tree is damaged: a branch has no children")
    n, competitors, surrogates = (frame.require(name).doubles() for name in ("n", "ncompete", "nsurrogate"))
    return _Nodes(is_leaf, left, right, n, competitors.astype(np.int64), surrogates.astype(np.int64))


def _row_names(frame: RObject, rows: int) -> list[int]:
    """The numbers of the nodes; R writes 1 to n as (NA, -n)."""
    found = frame.attributes["row.names"]
    if found.type == "integer" and len(found.value) == 2 and found.value[0] == NA_INTEGER:
        return list(range(1, rows + 1))
    return [int(name) for name in (found.strings() if found.type == "character" else found.value)]  # type: ignore[arg-type]


def _splits(model: RObject, nodes: _Nodes) -> _Splits:
    branches = np.flatnonzero(~nodes.is_leaf)
    if not len(branches):
        nothing = np.zeros((0, 0), np.int64)
        return _Splits(branches, [], nothing, nothing.astype(float), nothing.astype(float), nothing, np.zeros(0), np.zeros(0))
    splits = model.require("splits")
    columns = dict(zip(splits.dimnames[1], splits.matrix().T, strict=True))
    categories, at = columns["ncat"].astype(np.int64), columns["index"]
    csplit = model.get("csplit")
    codes = csplit.matrix() - 2.0 if csplit is not None else np.zeros((0, 0))
    tables = at[categories >= 2]
    if len(tables) and not (tables.min() >= 1 and tables.max() <= len(codes)):
        raise IntakeError(f"the tree is damaged: it splits factors by {len(codes)} sets of levels, but names others")
    use_surrogates = int(model.require("control").require("usesurrogate").doubles()[0])
    names = list(dict.fromkeys(splits.dimnames[0]))
    variables = np.array([names.index(name) for name in splits.dimnames[0]], np.int64)

    # Where in `splits` each branch's own splits begin: the primary one, its competitors, its surrogates.
    first = np.concatenate([[0], np.cumsum(~nodes.is_leaf + nodes.competitors + nodes.surrogates)[:-1]])[branches]
    n_surrogates = nodes.surrogates[branches] if use_surrogates else np.zeros(len(branches), np.int64)
    if n_surrogates.max() > _MOST_SURROGATES:
        raise IntakeError(f"a split has {n_surrogates.max()} surrogates; fit with maxsurrogate of at most {_MOST_SURROGATES}")
    shape = (1 + int(n_surrogates.max()), len(branches))
    variable, start = np.zeros(shape, np.int64), np.full(shape, -1, np.int64)
    threshold, below = np.zeros(shape), np.zeros(shape)
    for turn in range(shape[0]):
        asks = np.flatnonzero(turn <= n_surrogates)
        split = first[asks] + (turn + nodes.competitors[branches[asks]] if turn else 0)
        variable[turn, asks] = variables[split]
        coded = categories[split] >= 2
        threshold[turn, asks] = np.where(coded, 0.0, at[split])
        below[turn, asks] = np.where(coded, 0.0, categories[split])
        start[turn, asks] = np.where(coded, (at[split].astype(np.int64) - 1) * codes.shape[1], -1)
    return _Splits(branches, names, variable, threshold, below, start, codes.ravel(), _majority(nodes, branches, use_surrogates))


def _majority(nodes: _Nodes, branches: Indices, use_surrogates: int) -> Doubles:
    """The side with more observations, of the same weight as the last answer's half; 0 for none."""
    if use_surrogates < 2:
        return np.zeros(len(branches))
    return np.sign(nodes.n[nodes.right[branches]] - nodes.n[nodes.left[branches]])


def _probabilities(frame: RObject, classes: tuple[str, ...]) -> Doubles:
    """The classes' probabilities at each node, [nodes, classes]."""
    table = frame.require("yval2").matrix()
    expected = 2 + 2 * len(classes)
    if table.shape[1] != expected:
        raise IntakeError(
            f"the tree knows the probabilities of {(table.shape[1] - 2) // 2} of its {len(classes)} classes, so that R's predict "
            "fails; fit it with droplevels() on the response"
        )
    return table[:, 1 + len(classes) : 1 + 2 * len(classes)]


def _matrix_names(name: str, width: int) -> list[str]:
    """The columns that R's model.matrix makes of a variable, where these have no names of their own."""
    return [name] if width == 1 else [f"{name}{i + 1}" for i in range(width)]
