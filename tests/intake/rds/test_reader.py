"""Files that R wrote: every value must be what R itself says that it is."""

import math
import shutil
import subprocess
import warnings
from pathlib import Path

import numpy as np
import pytest
import rdata

from canari.errors import IntakeError
from canari.intake.rds import NA_INTEGER, RObject, read, read_object, size, sizes

FIXTURES = Path(__file__).parent / "fixtures"
FORMS = sorted(path.name for path in FIXTURES.glob("vectors_*.rds"))


@pytest.fixture(scope="session")
def made_now(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("Rscript") is None:
        pytest.skip("R is not installed: Rscript is not on the path")
    directory = tmp_path_factory.mktemp("rds")
    script = FIXTURES.parent / "make_fixtures.R"
    subprocess.run(["Rscript", "--vanilla", str(script), str(directory)], check=True, capture_output=True)
    return directory


def what_r_says(directory: Path) -> dict[str, tuple[str, list[str]]]:
    lines = (directory / "vectors.txt").read_text().splitlines()
    return {name: (kind, values) for name, kind, *values in (line.split(";") for line in lines)}


def number(value: float) -> float | str:
    """A number told apart from others bit by bit, with R's two kinds of not-a-number."""
    if math.isnan(value):
        return "NA" if np.float64(value).view(np.uint64) & 0xFFFFFFFF == 1954 else "NaN"
    return value.hex()


def parsed(text: str) -> float | str:
    return text if text in ("NA", "NaN") else float(text).hex()


def without_payload(values: list[float | str]) -> list[float | str]:
    return ["NaN" if value == "NA" else value for value in values]


def assert_same(found: RObject, kind: str, expected: list[str], *, ascii_form: bool) -> None:
    assert found.type == kind
    if kind in ("integer", "logical"):
        assert ["NA" if value == NA_INTEGER else str(value) for value in found.value.tolist()] == expected
    elif kind == "character":
        assert ["NA" if text is None else ",".join(["u", *map(str, map(ord, text))]) for text in found.value] == expected
    elif kind == "raw":
        assert list(found.value) == list(map(int, expected))
    elif kind == "complex":
        parts = [[number(value.real), number(value.imag)] for value in found.value]
        wanted = [list(map(parsed, text.split("_"))) for text in expected]
        assert [without_payload(p) for p in parts] == [without_payload(w) for w in wanted]
    else:
        values, wanted_values = [number(value) for value in found.value], [parsed(text) for text in expected]
        if ascii_form:  # in which R writes 16 digits
            doubles = [float(text.replace("NA", "nan")) for text in expected]
            np.testing.assert_allclose(found.value, doubles, rtol=1e-15)
            assert ["NA" if value == "NA" else "" for value in values] == ["NA" if text == "NA" else "" for text in expected]
        else:
            assert values == wanted_values


def assert_vectors(directory: Path, form: str) -> None:
    found = read((directory / form).read_bytes())
    expected = what_r_says(directory)
    assert found.type == "list"
    assert found.names == list(expected)
    for name, (kind, values) in expected.items():
        assert_same(found.require(name), kind, [v for v in values if v], ascii_form="ascii" in form)


@pytest.mark.parametrize("form", FORMS)
def test_committed_vectors(form: str) -> None:
    assert_vectors(FIXTURES, form)


@pytest.mark.parametrize("form", FORMS)
def test_vectors_of_the_installed_r(form: str, made_now: Path) -> None:
    assert_vectors(made_now, form)


def test_the_forms_are_all_there() -> None:
    """Fixtures that R wrote in a form that does not exercise the reader would prove nothing."""
    assert len(FORMS) == 14
    data = (FIXTURES / "vectors_none_3.rds").read_bytes()
    for form in (b"compact_intseq", b"compact_realseq", b"deferred_string", b"wrap_real"):
        assert form in data


@pytest.fixture(params=["others.rds", "others_ascii.rds"])
def others(request: pytest.FixtureRequest) -> RObject:
    return read((FIXTURES / request.param).read_bytes())


def deparse(expression: RObject) -> str:
    """A call as Lisp would write it: enough to see that nothing is lost."""
    if expression.type == "symbol":
        return str(expression.value)
    if expression.type in ("language", "pairlist"):
        parts = [f"{tag}={deparse(item)}" if tag else deparse(item) for tag, item in expression.value]
        return f"({' '.join(parts)})"
    if expression.type == "expression":
        return f"[{' '.join(map(deparse, expression.value))}]"
    if expression.is_null:
        return "NULL"
    return ",".join(f"{value:g}" if isinstance(value, float) else str(value) for value in expression.value)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("call", "(poly x degree=3)"),
        ("mixed_call", "(f 1 b=2 c)"),
        ("expression", "[(+ a b) 3]"),
        ("formula", "(~ y (+ (log x) z))"),
        ("symbol", "x"),
        ("symbol_after", "later"),
        ("pairlist", "(one=1 2)"),
    ],
)
def test_language(others: RObject, name: str, expected: str) -> None:
    assert deparse(others.require(name)) == expected


@pytest.mark.parametrize("name", ["compiled", "compiled_twice"])
def test_compiled_code_is_the_expression_it_was_compiled_from(others: RObject, name: str) -> None:
    environment, formals, body = others.require(name).value
    assert environment.value.name == "R_GlobalEnv"
    assert deparse(formals) == "(x= y=2)"
    assert deparse(body) == (
        "({ (for i (: 1 10) (<- x (+ x y))) (<- inner (function (z=) (+ (^ z 2) x) NULL)) (if (> x 1) (inner x) (- x)))"
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("namespace", "namespace:stats"),
        ("base_namespace", "namespace:base"),
        ("global", "R_GlobalEnv"),
        ("base", "base"),
        ("empty", "R_EmptyEnv"),
        ("cyclic", None),
        ("promise", None),
    ],
)
def test_environments_are_recognised(others: RObject, name: str, expected: str | None) -> None:
    found = others.require(name)
    assert (found.type, found.value.name) == ("environment", expected)


def test_an_environment_may_hold_itself(others: RObject) -> None:
    cyclic = others.require("cyclic")
    assert cyclic.variables["itself"] is cyclic
    assert cyclic.lookup("itself") is cyclic
    assert cyclic.lookup("other") is None
    assert size(cyclic) == 0
    assert len(repr(cyclic)) < 200
    assert len(repr(cyclic.value)) < 200
    assert cyclic == cyclic.variables["itself"] != others.require("global")


def test_an_argument_that_was_never_evaluated_has_no_value(others: RObject) -> None:
    environment = others.require("promise")
    promise = environment.variables["unforced"]
    assert promise.type == "promise"
    assert deparse(promise.value.expression) == "(stop not run)"
    assert promise.value.value is None
    assert promise.value.environment.value.name == "R_GlobalEnv"
    assert environment.lookup("unforced") is None


@pytest.fixture(params=["environments_binary.rds", "environments_ascii.rds"])
def environments(request: pytest.FixtureRequest) -> RObject:
    return read((FIXTURES / request.param).read_bytes())


def test_a_formula_finds_the_constants_of_the_functions_around_it(environments: RObject) -> None:
    formula = environments.require("formula")
    environment = formula.attributes[".Environment"]
    own, constant, k = (environment.lookup(name) for name in ("own", "constant", "k"))
    assert own is not None
    assert own.value == ["inner"]
    assert constant is not None
    assert constant.value.tolist() == [7.0]
    assert k is not None
    assert k.value.tolist() == [3.0]
    assert environment.lookup("unused") is None
    assert environment.lookup("no_such_variable") is None
    assert environments.require("formula_again").attributes[".Environment"] is environment


def test_variables_of_environments(environments: RObject) -> None:
    hashed, frame_only = environments.require("hashed"), environments.require("frame_only")
    assert sorted(hashed.variables) == ["first", "second", "third"]
    assert hashed.variables["first"].value.tolist() == [1, 2, 3]
    assert hashed.variables["third"].is_null
    assert hashed.enclosure is not None
    assert hashed.enclosure.value.name == "R_EmptyEnv"
    assert frame_only.enclosure is hashed
    assert sorted(frame_only.variables) == ["first", "later", "literal"]
    first, second, literal = (frame_only.lookup(name) for name in ("first", "second", "literal"))
    assert first is not None
    assert second is not None
    assert literal is not None
    assert (first.value, second.value, literal.value.tolist()) == (["nearer"], ["two"], [3.5])
    assert frame_only.lookup("later") is None
    function = environments.require("counter")
    assert function.value[0].variables["itself"] is function.value[0]
    finalized = environments.require("finalized")
    assert finalized.classes == ["holder"]
    assert finalized.attributes["note"].value == ["kept"]


def test_what_is_no_environment_has_no_variables(environments: RObject) -> None:
    assert not environments.variables
    assert environments.enclosure is None
    assert environments.lookup("formula") is None


def test_what_a_formula_drags_along(environments: RObject) -> None:
    environment = environments.require("formula").attributes[".Environment"]
    held = sizes(environment)
    assert next(iter(held)) == "data"
    # A column, its row names, "x" and "data.frame", and the three numbers of the expression that made it.
    assert held["data"] == 4 * 8 + 2 * 4 + 9 + 18 + 3 * 8
    assert held["own"] == 13
    assert size(environment) == sum(held.values())
    assert size(environments, environments) == size(environments)


@pytest.mark.parametrize("form", sorted(path.name for path in FIXTURES.glob("several_*.RData")))
class TestWorkspaces:
    def test_the_only_model_is_meant(self, form: str) -> None:
        found, r_version = read_object((FIXTURES / form).read_bytes(), None, lambda one: one.classes == ["lm"])
        assert found.classes == ["lm"]
        assert r_version.startswith("4.")

    def test_the_object_that_is_named_is_meant(self, form: str) -> None:
        data = (FIXTURES / form).read_bytes()
        assert read_object(data, "small")[0].require("x").value.tolist() == [1, 2, 3]
        assert read_object(data, "text")[0].value == ["a"]

    def test_what_is_there_is_said_where_nothing_decides(self, form: str) -> None:
        data = (FIXTURES / form).read_bytes()
        listed = r"small \(list\), model \(lm\), text \(character\)"
        with pytest.raises(IntakeError, match=f"no object 'mdl'; it has {listed}"):
            read_object(data, "mdl")
        with pytest.raises(IntakeError, match=f"none are models .* --object NAME: it has {listed}"):
            read_object(data)
        with pytest.raises(IntakeError, match=f"3 are models .* --object NAME: it has {listed}"):
            read_object(data, None, lambda _: True)


def test_the_only_object_is_meant() -> None:
    found, _ = read_object((FIXTURES / "workspace.RData").read_bytes())
    assert found.names == list(what_r_says(FIXTURES))


def test_a_workspace_without_objects() -> None:
    with pytest.raises(IntakeError, match="holds no objects"):
        read_object((FIXTURES / "nothing.RData").read_bytes())


def test_an_rds_has_no_named_objects() -> None:
    data = (FIXTURES / "others.rds").read_bytes()
    assert read_object(data)[0].names == read(data).names
    with pytest.raises(IntakeError, match="leave out --object model"):
        read_object(data, "model")


@pytest.mark.parametrize("form", FORMS)
def test_na_is_told_apart_from_nan(form: str) -> None:
    found = read((FIXTURES / form).read_bytes())
    for name, (kind, values) in what_r_says(FIXTURES).items():
        expected = [v in ("NA", "NA_3", "NA_0.1") or (kind == "complex" and "NA" in v) for v in values if v]
        assert found.require(name).missing().tolist() == expected, name
    assert np.isnan(found.require("double").doubles()).sum() == 2
    with pytest.raises(IntakeError, match="expected a vector, found list"):
        found.missing()


def test_a_missing_integer_is_a_missing_double() -> None:
    integers = RObject("integer", np.array([1, NA_INTEGER], np.int32))
    assert RObject("double", integers.doubles()).missing().tolist() == [False, True]


def test_a_shared_environment_is_one_object(others: RObject) -> None:
    assert others.require("cyclic") is others.require("cyclic_again")


def test_functions_of_r_itself(others: RObject) -> None:
    assert (others.require("builtin").type, others.require("builtin").value) == ("builtin", "sum")
    assert (others.require("special").type, others.require("special").value) == ("special", "quote")


def test_attributes(others: RObject) -> None:
    assert others.require("factor").strings() == ["lo", None, "hi"]
    matrix = others.require("matrix")
    assert matrix.matrix().tolist() == [[0.5, 1.5, 2.5], [1.0, 2.0, 3.0]]
    assert matrix.dimnames == [[], ["p", "q", "r"]]
    assert others.require("named").names == ["a", "b"]
    frame = others.require("frame")
    assert frame.classes == ["data.frame"]
    assert frame.require("t").strings() == ["x", "y", "z"]
    point = others.require("s4")
    assert point.type == "S4"
    assert point.classes == ["point"]
    assert point.attributes["x"].value.tolist() == [3.0]
    assert point.attributes["label"].value == ["three"]
    assert others.require("bytes").value == ["\\xe9 raw"]
    assert others.get("null") is None


def test_the_peer_agrees() -> None:
    """The PyPI package rdata, where it can read: no raw vectors, decreasing sequences or deferred numbers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peer = rdata.read_rds(FIXTURES / "peer.rds")
    found = read((FIXTURES / "peer.rds").read_bytes())
    for name in ("compact", "double", "empty_double"):
        np.testing.assert_array_equal(found.require(name).doubles(), np.asarray(peer[name], np.float64))
    assert found.require("text").value[:5] == [None if text is None else str(text) for text in peer["text"][:5]]


def test_a_workspace_is_named_as_such() -> None:
    with pytest.raises(IntakeError, match=r"R workspace \(\.RData\).*saveRDS"):
        read((FIXTURES / "workspace.RData").read_bytes())
