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
from canari.intake.rds import NA_INTEGER, RObject, read

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
    assert environment.value == "R_GlobalEnv"
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
def test_environments_are_recognised_and_not_kept(others: RObject, name: str, expected: str | None) -> None:
    found = others.require(name)
    assert (found.type, found.value) == ("environment", expected)


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
