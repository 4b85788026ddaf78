"""ONNX graphs from numpy code: a function that computes with arrays emits the graph when it is run on traced arrays.

So a model's prediction is written once, in numpy. Run on numbers it is the independent evaluator; run by `trace` it becomes
the graph, in which what ONNX lacks in double precision (arctangent, the normal distribution, log1p, ...) is composed.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import onnx
from numpy.lib.mixins import NDArrayOperatorsMixin
from onnx import TensorProto, helper, numpy_helper
from scipy import special

from canari.errors import IntakeError
from canari.intake.tree_ensemble import Tree, evaluate_trees, tree_ensemble
from canari.model import Feeds, Predictions
from canari.signature import MISSING, Input, Output

Array: TypeAlias = npt.NDArray[Any]

IR_VERSION = 10
OPSETS = {"": 21, "ai.onnx.ml": 5}

_SAMPLE_ROWS = 2  # told apart from a constant's single row


def trace(predict: Callable[[Feeds], Predictions], inputs: Sequence[Input], outputs: Sequence[Output]) -> bytes:
    """The ONNX model of a numpy function from a model's feeds to its predictions (both as `canari.model` says).

    Raises `IntakeError` where an input and an output have one name, and where an output does not depend on the inputs, so
    that the number of rows would be lost, and TypeError where `predict` uses a numpy function that has no ONNX form here.
    """
    if both := {column.name for column in inputs} & {output.name for output in outputs}:
        name = min(both)
        raise IntakeError(f"the column {name!r} is called like what the model answers; fit the model with another name for it")
    graph = Graph()
    feeds: dict[str, Any] = {column.name: graph.input(column) for column in inputs}
    with np.errstate(all="ignore"):
        predictions = predict(feeds)
    for output in outputs:
        value: Any = predictions[output.name]
        if not isinstance(value, Traced):
            raise IntakeError("the model predicts the same for every row: it uses no column")
        graph.output(output, value)
    return graph.serialize()


class Graph:
    """Nodes in the order in which they were emitted; equal nodes and equal constants are emitted once."""

    def __init__(self, prefix: str = "") -> None:
        self._prefix = prefix
        self._nodes: list[onnx.NodeProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._constants: dict[tuple[str, tuple[int, ...], bytes], onnx.TensorProto] = {}
        self._known: dict[bytes, str] = {}

    def input(self, column: Input) -> "Traced":
        """Declare a column of the model, [n, 1]."""
        text = column.kind == "category"
        elements = TensorProto.STRING if text else TensorProto.DOUBLE
        self._inputs.append(helper.make_tensor_value_info(column.name, elements, [None, 1]))
        return Traced(self, column.name, np.full((_SAMPLE_ROWS, 1), MISSING if text else 1.0, object if text else np.float64))

    def output(self, output: Output, value: "Traced") -> None:
        """Declare a value as an output of the model, [n, k]."""
        elements = TensorProto.STRING if output.kind == "class" else TensorProto.DOUBLE
        self._nodes.append(helper.make_node("Identity", [value.name], [output.name]))
        self._outputs.append(helper.make_tensor_value_info(output.name, elements, [None, output.width]))

    def emit(self, operator: str, operands: Sequence[Any], sample: Array, domain: str = "", **attributes: Any) -> "Traced":
        """One node; `sample` is what it answers for the sample rows, which says the type and shape of its result."""
        names = [value.name if isinstance(value, Traced) else self._constant(np.asarray(value)) for value in operands]
        node = helper.make_node(operator, names, [""], domain=domain, **attributes)
        key = node.SerializeToString(deterministic=True)
        if key not in self._known:
            self._known[key] = node.output[0] = f"{self._prefix}_{operator}_{len(self._nodes)}"
            self._nodes.append(node)
        return Traced(self, self._known[key], sample)

    def include(self, build: Callable[[str, str], Sequence[onnx.NodeProto]], value: "Traced", sample: Array) -> "Traced":
        """The nodes that `build` makes to compute one name from another."""
        name = f"{self._prefix}_included_{len(self._nodes)}"
        self._nodes += build(value.name, name)
        return Traced(self, name, sample)

    def loop(self, step: "Step", state: Sequence["Traced"], most: int) -> tuple["Traced", ...]:
        """`iterate` as a node, its step as a graph in the node, which has to know all that it uses from the state."""
        name = f"{self._prefix}_loop_{len(self._nodes)}"
        body = Graph(f"{name}_")
        carried = [Traced(body, f"{name}_{i}", value.sample) for i, value in enumerate(state)]
        results = step(*carried)
        counts = [
            helper.make_tensor_value_info(f"{name}_round", TensorProto.INT64, []),
            helper.make_tensor_value_info(f"{name}_going", TensorProto.BOOL, []),
        ]
        goes_on = helper.make_tensor_value_info(_any(results[-1]).name, TensorProto.BOOL, [])
        graph = helper.make_graph(
            body._nodes,
            name,
            [*counts, *map(_value_info, carried)],
            [goes_on, *map(_value_info, results)],
            list(body._constants.values()),
        )
        found = [f"{name}_result_{i}" for i in range(len(state))]
        operands = [self._constant(np.array(most, np.int64)), _any(state[-1]).name, *(value.name for value in state)]
        self._nodes.append(helper.make_node("Loop", operands, found, body=graph))
        return tuple(Traced(self, result, value.sample) for result, value in zip(found, state, strict=True))

    def serialize(self) -> bytes:
        """The checked model."""
        model = helper.make_model(
            helper.make_graph([], "model", self._inputs, self._outputs, list(self._constants.values())),
            opset_imports=[helper.make_opsetid(domain, version) for domain, version in OPSETS.items()],
            ir_version=IR_VERSION,
            producer_name="canari",
        )
        model.graph.node.extend(self._nodes)  # copied once here, twice by the helpers
        serialized = model.SerializeToString()
        onnx.checker.check_model(serialized)
        return serialized

    def _constant(self, value: Array) -> str:
        key = (value.dtype.str, value.shape, repr(value.tolist()).encode() if value.dtype == object else value.tobytes())
        if key not in self._constants:
            self._constants[key] = numpy_helper.from_array(
                np.ascontiguousarray(value), f"{self._prefix}_constant_{len(self._constants)}"
            )
        return self._constants[key].name


class Traced(NDArrayOperatorsMixin):
    """Stands for an array [n, ...] while a graph is emitted; numpy's operators and functions on it emit nodes."""

    def __init__(self, graph: Graph, name: str, sample: Array) -> None:
        self.graph = graph
        self.name = name
        self.sample = sample

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape, with the number of sample rows in the first place."""
        return self.sample.shape

    def astype(self, dtype: npt.DTypeLike) -> "Traced":
        """Like `numpy.ndarray.astype`."""
        sample = self.sample.astype(dtype)
        return self.graph.emit("Cast", [self], sample, to=helper.np_dtype_to_tensor_dtype(sample.dtype))

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *operands: Any, **options: Any) -> Any:
        if method != "__call__" or options:
            return NotImplemented
        if composed := _COMPOSED.get(ufunc):
            return composed(*operands)
        operator = _UFUNCS.get(ufunc)
        if operator is None:
            return NotImplemented
        return self.graph.emit(operator, _same_type(operands), ufunc(*map(_sample, operands)))

    def __array_function__(self, function: Callable[..., Any], _types: Any, args: Any, kwargs: Any) -> Any:
        emit = _FUNCTIONS.get(function)
        return NotImplemented if emit is None else emit(*args, **kwargs)


def level_codes(values: Array, levels: Sequence[str]) -> Array:
    """The position of each text among `levels` (int64, in the shape of `values`); len(levels) for a missing or unknown one."""
    if isinstance(values, Traced):
        codes: Any = values.graph.emit(
            "LabelEncoder",
            [values],
            np.zeros(values.shape, np.int64),
            domain="ai.onnx.ml",
            keys_strings=list(levels),
            values_int64s=list(range(len(levels))),
            default_int64=len(levels),
        )
        return codes
    position = {level: code for code, level in enumerate(levels)}
    return np.array([position.get(value, len(levels)) for value in values.ravel()], np.int64).reshape(values.shape)


def take(table: Any, indices: Any, axis: int = 0) -> Array:
    """Like `numpy.take`, which leaves no say to an array of indices."""
    graph = next((value.graph for value in (table, indices) if isinstance(value, Traced)), None)
    indices = _cast(indices, np.int64)
    found: Array = np.take(_sample(table), _sample(indices), axis)
    result: Any = found if graph is None else graph.emit("Gather", [table, indices], found, axis=axis)
    return result  # type: ignore[no-any-return]


def sum_of_trees(trees: Sequence[Tree], features: Array) -> Array:
    """The sum over all trees of the leaves that each row of `features`, [n, m], ends in: [n, targets]."""
    if not isinstance(features, Traced):
        return evaluate_trees(trees, features)
    sample = np.zeros((_SAMPLE_ROWS, trees[0].value.shape[1]))
    total: Any = features.graph.include(lambda x, y: tree_ensemble(trees, features.shape[1], x, y), features, sample)
    return total


# From a state of arrays [n, ...] to the next one.
Step: TypeAlias = Callable[..., tuple[Any, ...]]


def iterate(step: Step, state: tuple[Any, ...], most: int) -> tuple[Any, ...]:
    """Repeat `state = step(*state)`, `most` times or until the last of the state, bool [n, 1], is true of no row.

    A row of which it is no longer true is the step's to leave as it is. A step that is traced sees the state alone: what it
    needs of the columns is to be a part of the state.
    """
    if isinstance(state[0], Traced):
        return state[0].graph.loop(step, state, most)
    for _ in range(most):
        if not state[-1].any():
            break
        state = step(*state)
    return state


def _value_info(value: "Traced") -> onnx.ValueInfoProto:
    elements = helper.np_dtype_to_tensor_dtype(value.sample.dtype)
    return helper.make_tensor_value_info(value.name, elements, [None, *value.shape[1:]])


def _any(condition: "Traced") -> "Traced":
    """Whether it is true of any row, without dimensions."""
    numbers = condition.astype(np.int64)
    axes = np.arange(condition.sample.ndim)
    return numbers.graph.emit("ReduceMax", [numbers, axes], numbers.sample.max(), keepdims=0).astype(np.bool_)


def _sample(value: Any) -> Array:
    return value.sample if isinstance(value, Traced) else np.asarray(value)


def _graph(*values: Any) -> Graph:
    return next(value.graph for value in values if isinstance(value, Traced))


def _same_type(values: Sequence[Any]) -> list[Any]:
    """ONNX does not mix types; numpy's rule decides which one is meant."""
    dtype = np.result_type(*map(_sample, values))
    return [v if isinstance(v, Traced) and v.sample.dtype == dtype else _cast(v, dtype) for v in values]


def _cast(value: Any, dtype: npt.DTypeLike) -> Any:
    return value.astype(dtype) if isinstance(value, Traced) else np.asarray(value, dtype)


def _where(condition: Any, yes: Any, no: Any) -> Any:
    sample = np.where(_sample(condition), _sample(yes), _sample(no))
    return _graph(condition, yes, no).emit("Where", [condition, *_same_type([yes, no])], sample)


def _concatenate(values: Sequence[Any], axis: int) -> Any:
    return _graph(*values).emit("Concat", _same_type(values), np.concatenate([_sample(v) for v in values], axis), axis=axis)


def _reshape(value: Any, shape: Sequence[int]) -> Any:
    return value.graph.emit("Reshape", [value, np.array(shape, np.int64)], value.sample.reshape(shape))


def _extreme(operator: str, function: Callable[..., Array]) -> Callable[..., Any]:
    def reduce(value: Any, axis: int, *, keepdims: bool) -> Any:
        """Of a row with NaN, what ONNX answers is not defined."""
        axes = np.array([axis], np.int64)
        return value.graph.emit(operator, [value, axes], function(value.sample, axis, keepdims=keepdims), keepdims=int(keepdims))

    return reduce


def _argmax(value: Any, axis: int, *, keepdims: bool) -> Any:
    return value.graph.emit("ArgMax", [value], value.sample.argmax(axis, keepdims=keepdims), axis=axis, keepdims=int(keepdims))


_FUNCTIONS: Mapping[Callable[..., Any], Callable[..., Any]] = {
    np.where: _where,
    np.take: take,
    np.concatenate: _concatenate,
    np.reshape: _reshape,
    np.argmax: _argmax,
    np.max: _extreme("ReduceMax", np.max),
    np.min: _extreme("ReduceMin", np.min),
}

_UFUNCS: Mapping[np.ufunc, str] = {
    np.add: "Add",
    np.subtract: "Sub",
    np.multiply: "Mul",
    np.divide: "Div",
    np.power: "Pow",
    np.matmul: "MatMul",
    np.negative: "Neg",
    np.absolute: "Abs",
    np.exp: "Exp",
    np.log: "Log",
    np.sqrt: "Sqrt",
    np.sin: "Sin",
    np.cos: "Cos",
    np.tanh: "Tanh",
    np.floor: "Floor",
    np.ceil: "Ceil",
    np.rint: "Round",
    np.sign: "Sign",
    np.minimum: "Min",
    np.maximum: "Max",
    np.isnan: "IsNaN",
    np.isinf: "IsInf",
    np.less: "Less",
    np.less_equal: "LessOrEqual",
    np.greater: "Greater",
    np.greater_equal: "GreaterOrEqual",
    np.equal: "Equal",
    np.logical_and: "And",
    np.logical_or: "Or",
    np.logical_not: "Not",
    np.bitwise_and: "And",
    np.bitwise_or: "Or",
    np.invert: "Not",
}


def _polynomial(x: Any, coefficients: Sequence[float]) -> Any:
    """Highest power first, as in Cephes."""
    value = coefficients[0]
    for coefficient in coefficients[1:]:
        value = value * x + coefficient
    return value


def _log1p(x: Any) -> Any:
    # Kahan: the rounding error of 1 + x cancels in the quotient.
    u = 1.0 + x
    return np.where((u == 1.0) | np.isinf(u), x, np.log(u) * (x / np.where(u == 1.0, 1.0, u - 1.0)))


def _expm1(x: Any) -> Any:
    # Kahan, as above; for large |x| the quotient loses nothing to exp(x) - 1.
    u = np.exp(x)
    exact = (u - 1.0) * (x / np.where(u == 1.0, 1.0, np.log(u)))
    return np.where(u == 1.0, x, np.where(np.abs(x) < 1.0, exact, u - 1.0))


def _logarithm(base: float) -> Callable[[Any], Any]:
    def logarithm(x: Any) -> Any:
        y = np.log(x) / np.log(base)
        whole = np.rint(y)
        return np.where(np.power(base, whole) == x, whole, y)  # exact at the powers of the base, as C's is

    return logarithm


# Cephes atan.c: the argument is brought to |x| <= 0.66 first.
_ATAN_P = [
    -8.750608600031904122785e-1,
    -1.615753718733365076637e1,
    -7.500855792314704667340e1,
    -1.228866684490136173410e2,
    -6.485021904942025371773e1,
]
_ATAN_Q = [
    1.0,
    2.485846490142306297962e1,
    1.650270098316988542046e2,
    4.328810604912902668951e2,
    4.853903996359136964868e2,
    1.945506571482613964425e2,
]


def _arctan(x: Any) -> Any:
    a = np.abs(x)
    large, middle = a > 2.41421356237309504880, a > 0.66
    reduced = np.where(large, -1.0 / a, np.where(middle, (a - 1.0) / (a + 1.0), a))
    start = np.where(large, np.pi / 2, np.where(middle, np.pi / 4, 0.0))
    z = reduced * reduced
    value = start + (reduced + reduced * (z * _polynomial(z, _ATAN_P) / _polynomial(z, _ATAN_Q)))
    return np.where(x < 0.0, -value, value)


# Cephes ndtr.c: erf for |z| < 1, erfc = exp(-z^2) P(z)/Q(z) for |z| < 8 and R(z)/S(z) beyond.
_ERFC_P = [
    2.46196981473530512524e-10,
    5.64189564831068821977e-1,
    7.46321056442269912687e0,
    4.86371970985681366614e1,
    1.96520832956077098242e2,
    5.26445194995477358631e2,
    9.34528527171957607540e2,
    1.02755188689515710272e3,
    5.57535335369399327526e2,
]
_ERFC_Q = [
    1.0,
    1.32281951154744992508e1,
    8.67072140885989742329e1,
    3.54937778887819891062e2,
    9.75708501743205489753e2,
    1.82390916687909736289e3,
    2.24633760818710981792e3,
    1.65666309194161350182e3,
    5.57535340817727675546e2,
]
_ERFC_R = [
    5.64189583547755073984e-1,
    1.27536670759978104416e0,
    5.01905042251180477414e0,
    6.16021097993053585195e0,
    7.40974269950448939160e0,
    2.97886665372100240670e0,
]
_ERFC_S = [
    1.0,
    2.26052863220117276590e0,
    9.39603524938001434673e0,
    1.20489539808096656605e1,
    1.70814450747565897222e1,
    9.60896809063285878198e0,
    3.36907645100081516050e0,
]
_ERF_T = [
    9.60497373987051638749e0,
    9.00260197203842689217e1,
    2.23200534594684319226e3,
    7.00332514112805075473e3,
    5.55923013010394962768e4,
]
_ERF_U = [
    1.0,
    3.35617141647503099647e1,
    5.21357949780152679795e2,
    4.59432382970980127987e3,
    2.26290000613890934246e4,
    4.92673942608635921086e4,
]


def _ndtr(x: Any) -> Any:
    z = np.minimum(np.abs(x) * np.sqrt(0.5), 40.0)  # beyond, the tail is zero
    z2 = z * z
    middle = _polynomial(z, _ERFC_P) / _polynomial(z, _ERFC_Q)
    far = _polynomial(z, _ERFC_R) / _polynomial(z, _ERFC_S)
    tail = 0.5 * np.exp(-z2) * np.where(z < 8.0, middle, far)
    centre = 0.5 * (z * _polynomial(z2, _ERF_T) / _polynomial(z2, _ERF_U))
    upper = np.where(z < 1.0, 0.5 + centre, 1.0 - tail)
    lower = np.where(z < 1.0, 0.5 - centre, tail)
    return np.where(x < 0.0, lower, upper)


_COMPOSED: Mapping[np.ufunc, Callable[..., Any]] = {
    np.not_equal: lambda a, b: np.logical_not(np.equal(a, b)),
    np.tan: lambda x: np.sin(x) / np.cos(x),
    np.arctan: _arctan,
    np.log1p: _log1p,
    np.expm1: _expm1,
    np.log2: _logarithm(2.0),
    np.log10: _logarithm(10.0),
    special.ndtr: _ndtr,
}
