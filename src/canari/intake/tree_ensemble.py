"""Decision trees in double precision: as an ONNX `TreeEnsemble` (ai.onnx.ml 5), and evaluated without it by numpy.

The operator gives each leaf one target, so a tree whose leaves answer several targets is written once more for each further
one, cut to the branches that lead there. Three ways in which releases of onnxruntime misread a tree are avoided: a root
whose two children have the same index (one a leaf, one a branch, or one leaf twice) is taken for a leaf; tests for
membership are merged with those below them where both look at the same column; and an empty set is read out of bounds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from canari.errors import IntakeError

DOMAIN = "ai.onnx.ml"
OPSET = 5

Doubles = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_MODES = {"<=": 0, "<": 1}
_LESS, _MEMBER = 1, 6
_SUM = 1


@dataclass(frozen=True, kw_only=True, eq=False)
class Tree:
    """One tree; node 0 is its root. All arrays have one entry a node.

    A branch goes left where `x[feature] <= threshold` (`<` for that mode), or, for a node in `categories`, where x is one
    of these codes; a missing value goes left where `missing_left` says so. Of a leaf only `value`, [nodes, targets], matters.
    Raises `IntakeError` where the nodes are no tree.
    """

    feature: Indices
    threshold: Doubles
    left: Indices
    right: Indices
    is_leaf: Flags
    value: Doubles
    mode: Literal["<=", "<"] = "<="
    categories: Mapping[int, frozenset[int]] = field(default_factory=dict)
    missing_left: Flags | None = None  # None: a missing value always goes right

    def __post_init__(self) -> None:
        n = len(self.is_leaf)
        arrays = (self.feature, self.threshold, self.left, self.right, self.value)
        if n == 0 or self.value.ndim != 2 or any(len(array) != n for array in arrays):
            raise IntakeError(f"a tree of the model is damaged: its arrays have {sorted({n, *map(len, arrays)})} nodes")
        branches = ~self.is_leaf
        children = np.concatenate([self.left[branches], self.right[branches]])
        if len(children) and not (children.min() >= 0 and children.max() < n):
            raise IntakeError(f"a tree of the model is damaged: a branch leads out of its {n} nodes")
        reached = np.concatenate(self.levels())
        if np.bincount(reached).max() > 1:
            raise IntakeError("a tree of the model is damaged: two branches lead to one node")

    def levels(self) -> list[Indices]:
        """The nodes that can be reached, the root first, one array a depth."""
        level = np.zeros(1, np.int64)
        found, seen = [level], 1
        while seen <= len(self.is_leaf):
            branches = level[~self.is_leaf[level]]
            if not len(branches):
                break
            level = np.concatenate([self.left[branches], self.right[branches]])
            seen += len(level)
            found.append(level)
        return found


def tree_ensemble(trees: Sequence[Tree], n_features: int, x: str, y: str) -> list[onnx.NodeProto]:
    """The nodes that compute `y`, DOUBLE [n, targets], the sum over all trees, from `x`, DOUBLE [n, n_features].

    Names that begin with `y` and an underscore are used for what lies between. Raises `IntakeError` where a tree looks at a
    column that is not there, or where trees differ in their number of targets.
    """
    columns, attributes = _operator(trees, n_features)
    if len(columns) == n_features:
        return [_node(x, y, attributes)]
    index = numpy_helper.from_array(columns, f"{y}_columns")
    return [
        helper.make_node("Constant", [], [f"{y}_columns"], value=index),
        helper.make_node("Gather", [x, f"{y}_columns"], [f"{y}_features"], axis=1),
        _node(f"{y}_features", y, attributes),
    ]


def _node(x: str, y: str, attributes: Mapping[str, Any]) -> onnx.NodeProto:
    node = helper.make_node("TreeEnsemble", [x], [y], domain=DOMAIN)
    for name, value in attributes.items():
        if isinstance(value, np.ndarray):  # make_attribute would look at each number for its type
            node.attribute.add(name=name, type=onnx.AttributeProto.INTS, ints=value.tolist())
        else:
            node.attribute.append(helper.make_attribute(name, value))
    return node


def evaluate_trees(trees: Sequence[Tree], X: Doubles) -> Doubles:
    """The sum over all trees of the leaves that the rows of `X`, [n, features], end in: [n, targets]."""
    _check(trees, X.shape[1])
    total = np.zeros((len(X), trees[0].value.shape[1]))
    for tree in trees:
        total += tree.value[_leaves(tree, X)]
    return total


def _leaves(tree: Tree, X: Doubles) -> Indices:
    sets, position = _code_table(tree)
    node = np.zeros(len(X), np.int64)
    rows = np.flatnonzero(~tree.is_leaf[node])
    while len(rows):
        at = node[rows]
        x = X[rows, tree.feature[at]]
        left = x <= tree.threshold[at] if tree.mode == "<=" else x < tree.threshold[at]
        if tree.categories:
            categorical = position[at] >= 0
            codes, which = x[categorical], position[at][categorical]
            known = (codes >= 0) & (codes < sets.shape[1]) & (codes == np.floor(codes))
            left[categorical] = known & sets[which, np.where(known, codes, 0).astype(np.int64)]
        if tree.missing_left is not None:
            left |= np.isnan(x) & tree.missing_left[at]
        node[rows] = np.where(left, tree.left[at], tree.right[at])
        rows = rows[~tree.is_leaf[node[rows]]]
    return node


def _code_table(tree: Tree) -> tuple[Flags, Indices]:
    """Which codes go left: one row a categorical node, and of each node its row, -1 for none."""
    position = np.full(len(tree.is_leaf), -1, np.int64)
    sets = np.zeros(
        (len(tree.categories), 1 + max((max(codes, default=0) for codes in tree.categories.values()), default=0)), bool
    )
    for row, (node, codes) in enumerate(tree.categories.items()):
        position[node] = row
        sets[row, list(codes)] = True
    return sets, position


def _check(trees: Sequence[Tree], n_features: int) -> None:
    if not trees:
        raise IntakeError("the model has no trees")
    if len(targets := {tree.value.shape[1] for tree in trees}) > 1:
        raise IntakeError(f"the model's trees differ in their number of targets: {sorted(targets)}")
    for tree in trees:
        used = tree.feature[~tree.is_leaf]
        if len(used) and not (used.min() >= 0 and used.max() < n_features):
            raise IntakeError(f"a tree of the model looks at column {int(used.max())}, there are {n_features}")


class _Operator:
    """The operator's attributes while trees are added."""

    def __init__(self) -> None:
        self._parts: dict[str, list[npt.NDArray[Any]]] = {}
        self._members: list[float] = []
        self._n_branches = 0
        self._n_leaves = 0

    def add(self, tree: Tree, feature: Indices, target: Indices, weight: Doubles, needed: Flags) -> None:
        """Write a tree with one target a leaf; what is not needed of it becomes a leaf without weight."""
        branching = needed & ~tree.is_leaf
        branches = np.flatnonzero(branching)
        children = np.concatenate([tree.left[branches], tree.right[branches]])
        leaves = children[~branching[children]]
        index = np.zeros(len(branching), np.int64)
        index[branches] = self._n_branches + np.arange(len(branches))
        index[leaves] = self._n_leaves + np.arange(len(leaves))
        if index[tree.left[0]] == index[tree.right[0]]:
            index[leaves] += 1
            self._append(leaf_targetids=np.zeros(1), leaf_weights=np.zeros(1))  # to which no branch leads
        goes_left = np.zeros(len(branches)) if tree.missing_left is None else tree.missing_left[branches]
        splits, modes = self._tests(tree, branches)
        self._append(
            tree_roots=index[:1],
            nodes_featureids=feature[branches],
            nodes_splits=splits,
            nodes_modes=modes,
            nodes_truenodeids=index[tree.left[branches]],
            nodes_trueleafs=~branching[tree.left[branches]],
            nodes_falsenodeids=index[tree.right[branches]],
            nodes_falseleafs=~branching[tree.right[branches]],
            nodes_missing_value_tracks_true=goes_left,
            leaf_targetids=np.where(needed[leaves], target[leaves], 0),
            leaf_weights=np.where(needed[leaves], weight[leaves], 0.0),
        )

    def _append(self, **arrays: npt.NDArray[Any]) -> None:
        for name, array in arrays.items():
            self._parts.setdefault(name, []).append(array)
        self._n_branches += len(arrays.get("nodes_featureids", ()))
        self._n_leaves += len(arrays["leaf_weights"])

    def _tests(self, tree: Tree, branches: Indices) -> tuple[Doubles, Indices]:
        splits = tree.threshold[branches].astype(np.float64)
        modes = np.full(len(branches), _MODES[tree.mode])
        for i, node in enumerate(branches.tolist() if tree.categories else ()):
            codes = tree.categories.get(node)
            if codes:
                splits[i], modes[i] = 0.0, _MEMBER
                self._members += [*map(float, sorted(codes)), np.nan]
            elif codes is not None:
                splits[i], modes[i] = -np.inf, _LESS  # nothing is a member of the empty set
        return splits, modes

    def attributes(self) -> dict[str, Any]:
        """By name: a tensor, or an array of whole numbers."""
        tensors = {"nodes_splits": np.float64, "leaf_weights": np.float64, "nodes_modes": np.uint8}
        found: dict[str, Any] = {}
        for name, parts in self._parts.items():
            joined = np.concatenate(parts).astype(tensors.get(name, np.int64), copy=False)
            found[name] = numpy_helper.from_array(joined, name) if name in tensors else joined
        if not found["nodes_missing_value_tracks_true"].any():
            del found["nodes_missing_value_tracks_true"]
        if self._members:
            found["membership_values"] = numpy_helper.from_array(np.array(self._members), "membership_values")
        return found


def _operator(trees: Sequence[Tree], n_features: int) -> tuple[Indices, dict[str, Any]]:
    """The columns that the operator must be given (all, then perhaps copies of some), and its attributes."""
    _check(trees, n_features)
    categorical = sorted({int(tree.feature[node]) for tree in trees for node in tree.categories if not tree.is_leaf[node]})
    copies = {feature: n_features + i for i, feature in enumerate(categorical)}
    operator = _Operator()
    copied = False
    for tree in map(_with_a_branch, trees):
        feature = _alternate(tree, copies)
        copied |= bool((feature >= n_features).any())
        levels = tree.levels()
        for target, weight, wanted in _single_targets(tree):
            operator.add(tree, feature, target, weight, _needed(tree, levels, wanted))
    columns = np.array([*range(n_features), *(categorical if copied else ())], np.int64)
    n_targets = trees[0].value.shape[1]
    return columns, operator.attributes() | {"n_targets": n_targets, "aggregate_function": _SUM, "post_transform": 0}


def _with_a_branch(tree: Tree) -> Tree:
    """The same tree; one whose root is a leaf gets a branch to two leaves alike."""
    if not tree.is_leaf[0]:
        return tree
    return Tree(
        feature=np.zeros(3, np.int64),
        threshold=np.zeros(3),
        left=np.ones(3, np.int64),
        right=np.full(3, 2),
        is_leaf=np.array([False, True, True]),
        value=np.repeat(tree.value[:1], 3, axis=0),
    )


def _alternate(tree: Tree, copies: Mapping[int, int]) -> Indices:
    """The column of each node: a copy of it where the node above tests for membership in the same one."""
    feature = np.where(tree.is_leaf, 0, tree.feature).astype(np.int64)
    if tree.categories:
        for level in tree.levels():
            for node in level[~tree.is_leaf[level]].tolist():
                for child in (tree.left[node], tree.right[node]):
                    repeated = node in tree.categories and not tree.is_leaf[child] and tree.feature[child] == tree.feature[node]
                    if repeated and feature[node] == tree.feature[node]:
                        feature[child] = copies[int(tree.feature[node])]
    return feature


def _single_targets(tree: Tree) -> list[tuple[Indices, Doubles, Flags | None]]:
    """The leaves' values as (target, weight) of each node, as often as some leaf has values that are not zero.

    With each but the first comes which leaves have one; the first stands for the whole tree.
    """
    values = np.where(tree.is_leaf[:, None], tree.value, 0.0)
    order = np.argsort(values == 0, axis=1, kind="stable")  # targets with a value first
    counts = (values != 0).sum(axis=1)
    found = []
    for i in range(max(1, int(counts.max()))):
        target = order[:, i]
        weight = values[np.arange(len(values)), target]
        found.append((target, weight, counts > i if i else None))
    return found


def _needed(tree: Tree, levels: list[Indices], wanted: Flags | None) -> Flags:
    """Which nodes lead to a wanted leaf; all that can be reached where `wanted` is None."""
    needed = np.zeros(len(tree.is_leaf), bool)
    for level in reversed(levels):
        if wanted is None:
            needed[level] = True
            continue
        leaf = tree.is_leaf[level]
        needed[level[leaf]] = wanted[level[leaf]]
        branches = level[~leaf]
        needed[branches] = needed[tree.left[branches]] | needed[tree.right[branches]]
    return needed
