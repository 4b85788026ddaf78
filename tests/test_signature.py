"""What a caller of a released version would notice, and which names a model may bear."""

import msgspec
import pytest

from canari.errors import UsageError
from canari.signature import Input, Output, Signature, Source, parse_tag

SOURCE = Source(language="R", version="4.2.2", model_class="glm", sha256="0" * 64)


def signature(*inputs: Input, outputs: tuple[Output, ...] = (Output(name="prediction", kind="number"),)) -> Signature:
    return Signature(name="m", version="1", inputs=inputs, outputs=outputs, source=SOURCE)


AGE = Input(name="age", kind="integer", missing=True)
SEX = Input(name="sex", kind="category", levels=("f", "m"))


@pytest.mark.parametrize(
    ("now", "changes"),
    [
        (signature(AGE, SEX), []),
        (signature(SEX, msgspec.structs.replace(AGE, kind="number")), []),  # every integer is a number
        (signature(AGE, msgspec.structs.replace(SEX, levels=("f", "m", "x"))), []),
        (signature(AGE), ["input 'sex' is gone"]),
        (signature(AGE, SEX, Input(name="bmi", kind="number")), ["input 'bmi' is new and required"]),
        (signature(AGE, msgspec.structs.replace(SEX, levels=("f",))), ["input 'sex' no longer takes 'm'"]),
        (signature(msgspec.structs.replace(AGE, missing=False), SEX), ["input 'age' no longer takes a missing value"]),
        (signature(msgspec.structs.replace(AGE, kind="boolean"), SEX), ["input 'age' is a boolean, it was an integer"]),
        (signature(AGE, SEX, outputs=(Output(name="class", kind="class", labels=("a", "b")),)), ["output 'prediction' is gone"]),
        (
            signature(AGE, SEX, outputs=(Output(name="prediction", kind="probability", labels=("Yes",)),)),
            ["output 'prediction' has another kind or other labels"],
        ),
    ],
)
def test_a_release_may_widen_and_nothing_else(now: Signature, changes: list[str]) -> None:
    assert now.breaks(signature(AGE, SEX)) == changes


@pytest.mark.parametrize("text", ["m", "m:", ":1", "M:1", "m:1:2", "m: 1", "m:" + "1" * 64, "-m:1"])
def test_a_tag_that_cannot_be_one(text: str) -> None:
    with pytest.raises(UsageError):
        parse_tag(text)


def test_a_tag_is_name_and_version() -> None:
    assert parse_tag("blood-pressure_2:1.0.3") == ("blood-pressure_2", "1.0.3")
