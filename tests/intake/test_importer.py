"""From a file to the store: whole and proved, or not at all. Uses the models in models/, so it needs no R."""

import bz2
import gzip
import lzma
import struct
from pathlib import Path

import pytest

from canari import store as model_store
from canari.errors import CanariError, ExitCode, IntakeError, UsageError
from canari.intake.importer import import_file
from canari.model import Value
from canari.runtime.feeds import to_feeds
from canari.runtime.onnx import OnnxRuntime
from tests.intake.conftest import Fit

MODELS = Path(__file__).parents[2] / "models" / "diabetes"
GLM, FOREST, MISTAKE = (MODELS / f"diabetes-{version}.rds" for version in (1, 2, 3))

pytestmark = pytest.mark.usefixtures("store")


def tampered(source: Path, target: Path) -> tuple[int, float]:
    """Write `source` with one recorded prediction changed; the row (from 1) and the new value."""
    checks = import_file(source, name="untouched").model.checks
    assert checks is not None
    content = bytearray(gzip.decompress(source.read_bytes()))
    for row, value in enumerate(checks.predictions["prediction"]):
        if isinstance(value, float) and content.count(struct.pack(">d", value)) == 1:
            at = content.index(struct.pack(">d", value))
            content[at : at + 8] = struct.pack(">d", value + 1e-6)
            target.write_bytes(gzip.compress(bytes(content)))
            return row + 1, value + 1e-6
    raise AssertionError("no prediction occurs once")


@pytest.mark.parametrize(("path", "model_class"), [(GLM, "glm"), (FOREST, "randomForest"), (MISTAKE, "glm")])
def test_the_example_models_are_proved_to_the_last_digits(path: Path, model_class: str) -> None:
    imported = import_file(path)
    stored = model_store.get(imported.model.signature.tag)
    assert imported.created
    assert stored.signature.source.model_class == model_class
    assert stored.signature.source.language == "R"
    assert stored.signature.proof is not None
    assert stored.signature.proof.rows - stored.signature.proof.probes == 332  # MASS::Pima.te
    assert stored.signature.proof.probes > 20
    assert stored.signature.proof.worst < 1e-12
    assert stored.signature.proof.worst_evaluator < 1e-12
    assert stored.checks is not None
    predictions = OnnxRuntime(stored.signature, stored.onnx).predict(to_feeds(stored.signature.inputs, stored.checks.rows))
    recorded = stored.checks.predictions["prediction"]
    answered = [(a, b) for a, b in zip(recorded, predictions["prediction"][:, 0], strict=True) if a is not None]
    assert all(a == pytest.approx(b, abs=1e-12) for a, b in answered)


def test_name_and_version_have_defaults() -> None:
    signature = import_file(GLM).model.signature
    assert signature.name == "diabetes"
    assert signature.version == signature.source.sha256[:12]
    assert import_file(GLM, name="sugar", version="1.0").model.signature.tag == "sugar:1.0"


def test_the_same_file_again_changes_nothing() -> None:
    assert import_file(GLM, version="1").created
    before = model_store.directory("diabetes:1").stat().st_mtime_ns
    assert not import_file(GLM, version="1").created
    assert model_store.directory("diabetes:1").stat().st_mtime_ns == before


@pytest.mark.parametrize("name", [None, "diabetes"])
def test_another_file_under_the_same_version_is_refused(name: str | None) -> None:
    import_file(GLM, version="1")
    with pytest.raises(CanariError, match="diabetes:1 exists, made from another file"):
        import_file(FOREST, name=name, version="1")
    assert model_store.get("diabetes:1").signature.source.model_class == "glm"


@pytest.mark.parametrize("source", [GLM, FOREST])
def test_a_changed_prediction_is_found_and_leaves_nothing(source: Path, tmp_path: Path) -> None:
    row, value = tampered(source, tmp_path / "changed.rds")
    with pytest.raises(
        IntakeError, match=rf"1 of \d+ check rows disagrees; row {row} \(.*'prediction': R says {value!r}, canari computes "
    ):
        import_file(tmp_path / "changed.rds", version="2")
    assert [signature.name for signature in model_store.signatures()] == ["untouched"]


@pytest.mark.parametrize("compress", [bytes, bz2.compress, lzma.compress])
def test_the_content_counts_and_not_the_ending(compress: object, tmp_path: Path) -> None:
    path = tmp_path / "model.txt"
    path.write_bytes(compress(gzip.decompress(GLM.read_bytes())))  # type: ignore[operator]
    assert import_file(path).model.signature.source.model_class == "glm"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"a,b\n1,2\n", "is no model file"),
        (b"\x1f\x8b\x08broken", "is no model file"),
        (b"\x89PNG", "is no model file"),
    ],
)
def test_what_is_no_model_file_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "model.rds"
    path.write_bytes(content)
    with pytest.raises(IntakeError, match=message):
        import_file(path)


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "half.rds"
    path.write_bytes(GLM.read_bytes()[:20_000])
    with pytest.raises(IntakeError, match=r"half.rds"):
        import_file(path)
    assert not model_store.signatures()


@pytest.mark.parametrize(("name", "message"), [("nowhere.rds", "no such file"), (".", "is a directory")])
def test_a_path_that_cannot_be_meant_is_refused(name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message):
        import_file(tmp_path / name)


@pytest.mark.parametrize("option", [{"name": "Not Allowed"}, {"version": "1/2"}])
def test_a_name_that_the_store_does_not_take_is_refused(option: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="expected at most 63"):
        import_file(GLM, **option)  # type: ignore[arg-type]


def test_breaking_changes_against_the_version_stored_last(fit: Fit) -> None:
    fitted = fit("lm")
    import_file(fitted / "lm-single.rds", name="cars", version="1")
    imported = import_file(fitted / "lm-weights.rds", name="cars", version="2")
    assert imported.before is not None
    assert imported.before.tag == "cars:1"
    assert imported.breaking == ("input 'hp' is new and required",)
    assert import_file(GLM).before is None


def test_a_model_without_rows_needs_a_word_and_is_marked(fit: Fit) -> None:
    path = fit("bare") / "lm.rds"
    with pytest.raises(UsageError, match="save_model") as refusal:
        import_file(path)
    assert refusal.value.exit_code == ExitCode.USAGE
    assert "--unproved" in str(refusal.value)
    assert not model_store.signatures()
    imported = import_file(path, unproved=True)
    assert imported.model.signature.source.version[0].isdigit()  # of R, from the header of the file
    assert any("UNPROVED" in warning for warning in imported.warnings)
    assert imported.model.signature.name == "lm"
    assert not model_store.get(imported.model.signature.tag).signature.proved
    assert model_store.get(imported.model.signature.tag).checks is None


def test_rows_with_proof_stay_proved_with_unproved(store: Path) -> None:
    assert import_file(GLM, unproved=True).model.signature.proved


def test_training_data_in_the_file_are_warned_of_and_left_behind() -> None:
    imported = import_file(GLM)
    assert any("200 rows" in warning and "personal data" in warning for warning in imported.warnings)
    assert imported.model.checks is not None
    own: list[Value] = imported.model.checks.given()["glu"]
    assert len(own) == 332  # the test set, not the 200 rows of the training


def test_an_r_object_that_is_no_model_is_named(fit: Fit) -> None:
    with pytest.raises(IntakeError, match=r"data\.rds: the file holds an object of class 'data.frame', which is not supported"):
        import_file(fit("bare") / "data.rds", unproved=True)


WORKSPACES = Path(__file__).parent / "rds" / "fixtures"


@pytest.mark.parametrize("form", ["several_gzip_3.RData", "several_xz_2.RData", "several_ascii_3.RData", "several_none_2.RData"])
@pytest.mark.parametrize("object_name", [None, "model"])
def test_the_model_in_a_workspace(form: str, object_name: str | None) -> None:
    imported = import_file(WORKSPACES / form, object_name=object_name, name="cars", unproved=True)
    signature = imported.model.signature
    assert (signature.source.model_class, [column.name for column in signature.inputs]) == ("lm", ["speed"])
    assert imported.created


def test_an_object_of_a_workspace_that_is_none_or_no_model() -> None:
    workspace = WORKSPACES / "several_gzip_3.RData"
    with pytest.raises(
        IntakeError, match=r"several_gzip_3.RData: .*no object 'modle'; it has small \(list\), model \(lm\), text"
    ):
        import_file(workspace, object_name="modle")
    with pytest.raises(IntakeError, match="an R object of type list, which is not supported"):
        import_file(workspace, object_name="small")
    with pytest.raises(IntakeError, match="leave out --object model"):
        import_file(GLM, object_name="model")
    assert not model_store.signatures()


def test_objects_are_only_in_workspaces_of_r() -> None:
    with pytest.raises(UsageError, match=r"--object is for the objects of an \.RData"):
        import_file(MODELS.parent / "breast_cancer" / "breast-cancer-1.skops", object_name="model")
