"""Editing an overlay: two images change, every comment and everything else stays."""

import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from canari.errors import CanariError, UsageError
from canari.release.overlay import Image, Overlay, parse_image

A, B = (Image("registry.example.com/diabetes", "sha256:" + digit * 64) for digit in "ab")
PROJECT = Path(__file__).parents[2]

words = st.text("abc xyz:#-'\"éλ{}[]", max_size=20).map(str.strip)
comment = words.map(lambda text: f"# {text}")


@st.composite
def kustomizations(draw: st.DrawFn) -> str:
    """A kustomization with comments above, beside and below the images, indented one way or the other."""
    indent = draw(st.sampled_from(["", "  "]))
    entries = []
    for name in draw(st.permutations(["model", "model-stable", "canari-gate"])):
        version = draw(st.sampled_from(["newTag: '1'", f"digest: {A.digest}"]))
        lines = [f"- name: {name} {draw(comment)}", f"  newName: registry.example.com/{name} {draw(comment)}", f"  {version}"]
        entries += [f"{indent}{line}" for line in [draw(comment), *lines]]
    prefix = draw(st.sampled_from(["x-", '"y-"', "null"]))
    others = [f"namePrefix: {prefix} {draw(comment)}", "resources:", f"{indent}- ../base"]
    parts = [[draw(comment)], ["images:", *entries], others]
    return "\n".join(line for part in draw(st.permutations(parts)) for line in part) + "\n"


def _comments(text: str) -> list[str]:
    return re.findall(r"# .*", text)


@given(text=kustomizations())
def test_comments_and_everything_else_stay(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("overlay")
    (folder / "kustomization.yaml").write_text(text)
    edited = Overlay(folder).edited(A, B).decode()
    assert sorted(c.rstrip() for c in _comments(edited)) == sorted(c.rstrip() for c in _comments(text))
    expected = yaml.safe_load(text)
    for entry in expected["images"]:
        if entry["name"] != "canari-gate":
            image = A if entry["name"] == "model" else B
            entry.pop("newTag", None)
            entry.update(newName=image.name, digest=image.digest)
    assert yaml.safe_load(edited) == expected


@pytest.mark.parametrize("name", ["local", "staging", "production"])
def test_the_projects_own_overlays_change_in_the_images_lines_alone(name: str, tmp_path: Path) -> None:
    file = PROJECT / "k8s/overlays" / name / "kustomization.yaml"
    (tmp_path / file.name).write_text(file.read_text())
    overlay = Overlay(tmp_path)
    overlay.name_images(A, B)
    pairs = list(zip(file.read_text().splitlines(), overlay.file.read_text().splitlines(), strict=True))
    assert all(("newName:" in new or "digest:" in new) for old, new in pairs if old != new)
    assert (Overlay(tmp_path).model, Overlay(tmp_path).stable) == (A, B)


def test_writing_keeps_permissions_and_putting_back_is_byte_for_byte(tmp_path: Path) -> None:
    file = tmp_path / "kustomization.yaml"
    entries = f"- {{name: model, newName: r/d, newTag: x}}\n- {{name: model-stable, newName: r/d, digest: {A.digest}}}\n"
    content = f"images:  # two\n{entries}"
    file.write_bytes(content.encode())
    file.chmod(0o640)
    overlay = Overlay(tmp_path)
    overlay.write(overlay.edited(A, B))
    assert Overlay(tmp_path).model == A
    overlay.put_back()
    assert file.read_bytes() == content.encode()
    assert file.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("images: [", "cannot be read"),
        ("- a list", "there is no model and no model-stable"),
        ("images:\n- name: model\n  newName: r/d\n", "there is no model-stable"),
        ("\t", "cannot be read"),
    ],
)
def test_a_file_that_names_not_both_images_is_refused(content: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "kustomization.yaml").write_text(content)
    with pytest.raises(CanariError, match=said) as refusal:
        Overlay(tmp_path)
    assert str(tmp_path) in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("r.example:5000/a/b@sha256:" + "0" * 64, "r.example:5000/a/b"),
        ("r.example/a:1.2@sha256:" + "0" * 64, "r.example/a"),
        ("localhost/a@sha256:" + "0" * 64, "localhost/a"),
    ],
)
def test_references(text: str, name: str) -> None:
    assert parse_image(text) == Image(name, "sha256:" + "0" * 64)


@pytest.mark.parametrize(
    "text", ["", "diabetes:1", "r/a@sha256:12", f"r/a@sha512:{'0' * 128}", f"r/a b@{A.digest}", f"@{A.digest}"]
)
def test_what_is_no_reference_by_digest(text: str) -> None:
    with pytest.raises(UsageError, match="expected REGISTRY/NAME@sha256"):
        parse_image(text)
