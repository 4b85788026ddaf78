"""Trees as an ONNX operator: onnxruntime must find the leaf that a walk from the root finds."""

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from canari.errors import IntakeError
from canari.intake.tree_ensemble import DOMAIN, OPSET, Tree, evaluate_trees, tree_ensemble

Doubles = npt.NDArray[np.float64]


def run_onnx(trees: list[Tree], X: Doubles) -> Doubles:
    n_features = X.shape[1]
    graph = helper.make_graph(
        tree_ensemble(trees, n_features, "x", "y"),
        "trees",
        [helper.make_tensor_value_info("x", TensorProto.DOUBLE, [None, n_features])],
        [helper.make_tensor_value_info("y", TensorProto.DOUBLE, [None, trees[0].value.shape[1]])],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 18), helper.make_opsetid(DOMAIN, OPSET)], ir_version=10
    )
    onnx.checker.check_model(model)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    result: Doubles = session.run(None, {"x": X})[0]
    return result


def walk(tree: Tree, row: Doubles) -> Doubles:
    """The definition, one node after the other."""
    node = 0
    while not tree.is_leaf[node]:
        x = row[tree.feature[node]]
        if np.isnan(x):
            left = tree.missing_left is not None and bool(tree.missing_left[node])
        elif node in tree.categories:
            left = x in tree.categories[node]
        else:
            left = bool(x <= tree.threshold[node] if tree.mode == "<=" else x < tree.threshold[node])
        node = int(tree.left[node] if left else tree.right[node])
    value: Doubles = tree.value[node]
    return value


def random_tree(rng: np.random.Generator, n_targets: int, *, mode: str, missing: bool, levels: int) -> Tree:
    """Columns 0 and 1 hold numbers, 2 and 3 codes from 0 on."""
    feature: list[int] = []
    threshold: list[float] = []
    left: list[int] = []
    right: list[int] = []
    leaf: list[bool] = []
    value: list[Doubles] = []
    categories: dict[int, frozenset[int]] = {}

    def grow(depth: int) -> int:
        node = len(leaf)
        is_leaf = depth == 0 or rng.random() < 0.2
        leaf.append(is_leaf)
        column = int(rng.integers(4))
        feature.append(column)
        threshold.append(float(rng.integers(-3, 4)) / 2)
        value.append(rng.normal(size=n_targets) * (rng.random(n_targets) < 0.6))
        left.append(-1)
        right.append(-1)
        if not is_leaf:
            if column >= 2:
                size = int(rng.integers(0, levels + 1))
                categories[node] = frozenset(rng.choice(levels, size=size, replace=False).tolist())
            left[node] = grow(depth - 1)
            right[node] = grow(depth - 1)
        return node

    grow(int(rng.integers(0, 6)))
    return Tree(
        feature=np.array(feature),
        threshold=np.array(threshold),
        left=np.array(left),
        right=np.array(right),
        is_leaf=np.array(leaf),
        value=np.array(value),
        mode="<=" if mode == "<=" else "<",
        categories=categories,
        missing_left=rng.random(len(leaf)) < 0.5 if missing else None,
    )


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_targets=st.integers(1, 4),
    n_trees=st.integers(1, 5),
    mode=st.sampled_from(["<=", "<"]),
    missing=st.booleans(),
    levels=st.sampled_from([1, 3, 12, 29, 31, 33, 53, 70]),
)
def test_onnxruntime_ends_in_the_same_leaves(
    *, seed: int, n_targets: int, n_trees: int, mode: str, missing: bool, levels: int
) -> None:
    rng = np.random.default_rng(seed)
    trees = [random_tree(rng, n_targets, mode=mode, missing=missing, levels=levels) for _ in range(n_trees)]
    X = np.column_stack([rng.integers(-4, 5, (40, 2)) / 2, rng.integers(0, levels, (40, 2))]).astype(np.float64)
    X[rng.random(X.shape) < 0.1] = np.nan
    expected = np.array([sum((walk(tree, row) for tree in trees), np.zeros(n_targets)) for row in X])
    np.testing.assert_allclose(evaluate_trees(trees, X), expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(run_onnx(trees, X), expected, rtol=0, atol=1e-12)


def stump(**changes: object) -> Tree:
    arrays: dict[str, object] = {
        "feature": np.array([0, 0, 0]),
        "threshold": np.array([0.5, 0, 0]),
        "left": np.array([1, 0, 0]),
        "right": np.array([2, 0, 0]),
        "is_leaf": np.array([False, True, True]),
        "value": np.array([[0.0], [1.0], [2.0]]),
    }
    return Tree(**(arrays | changes))  # type: ignore[arg-type]


def test_a_leaf_and_a_branch_of_the_same_index_below_the_root() -> None:
    tree = Tree(
        feature=np.array([0, 0, 1, 0, 0]),
        threshold=np.array([0.0, 0.0, 0.0, 0.0, 0.0]),
        left=np.array([2, -1, 3, -1, -1]),
        right=np.array([1, -1, 4, -1, -1]),
        is_leaf=np.array([False, True, False, True, True]),
        value=np.array([[0.0], [10.0], [0.0], [20.0], [30.0]]),
    )
    X = np.array([[1.0, 0.0], [-1.0, -1.0], [-1.0, 1.0]])
    for forest in ([tree], [tree, tree], [stump(), tree], [tree, stump(), tree]):
        expected = sum(np.array([walk(t, row) for row in X]) for t in forest)
        np.testing.assert_array_equal(run_onnx(forest, X), expected)


def test_doubles_beyond_single_precision_are_told_apart() -> None:
    threshold = 0.1 + 2.0**-40
    tree = stump(threshold=np.array([threshold, 0, 0]))
    X = np.array([[threshold], [np.nextafter(threshold, 1)], [np.nextafter(threshold, 0)]])
    assert run_onnx([tree], X).ravel().tolist() == [1.0, 2.0, 1.0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"left": np.array([3, 0, 0])}, "leads out of its 3 nodes"),
        ({"left": np.array([-1, 0, 0])}, "leads out of its 3 nodes"),
        ({"left": np.array([0, 0, 0])}, "two branches lead to one node"),
        ({"left": np.array([2, 0, 0])}, "two branches lead to one node"),
        ({"threshold": np.array([0.5])}, "arrays have"),
        ({"value": np.zeros((3,))}, "arrays have"),
    ],
)
def test_nodes_that_are_no_tree_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(IntakeError, match=message):
        stump(**changes)


def test_a_column_that_is_not_there_is_refused() -> None:
    with pytest.raises(IntakeError, match="looks at column 7, there are 2"):
        tree_ensemble([stump(feature=np.array([7, 0, 0]))], 2, "x", "y")
    with pytest.raises(IntakeError, match="looks at column 7, there are 1"):
        evaluate_trees([stump(feature=np.array([7, 0, 0]))], np.zeros((1, 1)))


def test_no_trees_are_refused() -> None:
    with pytest.raises(IntakeError, match="no trees"):
        tree_ensemble([], 2, "x", "y")


@pytest.mark.parametrize("n_targets", [1, 2, 3])
def test_tests_for_membership_below_each_other_on_one_column_are_not_merged(n_targets: int) -> None:
    # A chain of sets on column 0, on either side: 0-3 go left, of the others 4 and 5, of the others 6.
    tree = Tree(
        feature=np.zeros(9, np.int64),
        threshold=np.zeros(9),
        left=np.array([1, 3, 5, 0, 0, 0, 7, 0, 0]),
        right=np.array([2, 4, 6, 0, 0, 0, 8, 0, 0]),
        is_leaf=np.array([False, False, False, True, True, True, False, True, True]),
        value=np.arange(1.0, 9 * n_targets + 1).reshape(9, n_targets),
        categories={0: frozenset({0, 1, 2, 3}), 1: frozenset({0, 2}), 2: frozenset({4, 5}), 6: frozenset({6})},
    )
    X = np.array([[code, 0.0] for code in (*range(8), np.nan)])
    expected = np.array([walk(tree, row) for row in X])
    np.testing.assert_array_equal(run_onnx([tree], X), expected)
    np.testing.assert_array_equal(run_onnx([tree, tree], X), 2 * expected)


@pytest.mark.parametrize(("mode", "on_the_split"), [("<=", 1.0), ("<", 2.0)])
def test_a_row_on_the_split_value(mode: str, on_the_split: float) -> None:
    X = np.array([[0.0], [-0.0], [np.nextafter(0, 1)], [np.nextafter(0, -1)], [np.inf], [-np.inf]])
    tree = stump(threshold=np.zeros(3), mode=mode)
    expected = [on_the_split, on_the_split, 2.0, 1.0, 2.0, 1.0]
    assert run_onnx([tree], X).ravel().tolist() == expected
    assert evaluate_trees([tree], X).ravel().tolist() == expected


def test_only_a_missing_value_goes_left_below_minus_infinity() -> None:
    tree = stump(threshold=np.full(3, -np.inf), mode="<", missing_left=np.array([True, False, False]))
    X = np.array([[np.nan], [-np.inf], [0.0], [np.inf]])
    assert run_onnx([tree], X).ravel().tolist() == [1.0, 2.0, 2.0, 2.0]
    assert evaluate_trees([tree], X).ravel().tolist() == [1.0, 2.0, 2.0, 2.0]
