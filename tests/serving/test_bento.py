"""Bentos: built, built again, and served by canari and by BentoML."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import tritonclient.grpc as triton_grpc
import yaml

import canari
from canari import store as model_store
from canari.errors import CanariError, UsageError
from canari.serving import bento
from tests.conftest import bentoml_home, make_toy
from tests.serving.conftest import ROW, serving

pytestmark = pytest.mark.alone

CHECKOUT = Path(canari.__file__).parents[2]
DATATYPES = {"age": "FP64", "visits": "INT64", "smoker": "BOOL", "exercise": "BYTES"}
PREDICTED = {"model": "toy", "version": "1", "predictions": [{"prediction": 0.334589441253186}]}

# An endpoint that an owner might add.
OWN_ENDPOINT = '''
    @bentoml.api
    def label(self, age: float) -> str:
        """A prediction in words."""
        return f"{app.runtime.signature.name} at {age:g}"
'''


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with bentoml_home(tmp_path_factory.mktemp("bentos") / "bentoml") as home:
        model_store.put(make_toy())
        yield home


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of somebody else's, with an endpoint of their own."""
    project = tmp_path_factory.mktemp("project")
    shutil.copytree(CHECKOUT / "src" / "canari", project / "src" / "canari", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(CHECKOUT / "service", project / "service", ignore=shutil.ignore_patterns("__pycache__"))
    (project / "requirements").mkdir()
    shutil.copy(CHECKOUT / "requirements" / "pod.txt", project / "requirements")
    shutil.copy(CHECKOUT / "bentofile.yaml", project)
    with (project / "service" / "service.py").open("a") as file:
        file.write(OWN_ENDPOINT)
    return project


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_a_bento_holds_the_service_canari_and_the_models_name(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # no project here: it is the one that canari was installed from
    tag = bento.build("toy:1")
    name, version = tag.split(":")
    assert (name, re.fullmatch(r"1-[0-9a-f]{12}", version) is not None) == ("toy", True)
    directory = home / "bentos" / name / version
    described = yaml.safe_load((directory / "bento.yaml").read_text())
    assert [model["tag"] for model in described["services"][0]["models"]] == ["toy:1"]
    assert described["args"] == {"model": "toy:1"}
    assert {env["name"] for env in described["envs"]} == {"BENTOML_DO_NOT_TRACK", "PYTHONPATH"}
    files = {file.relative_to(directory).as_posix() for file in directory.rglob("*") if file.is_file()}
    assert {"src/service/service.py", "src/canari/serving/app.py", "src/canari/py.typed", "src/canari/__main__.py"} <= files
    assert not {file for file in files if re.search(r"/(intake|gate|rehearsal)/|\.pyc$", file)}
    assert sum((directory / file).stat().st_size for file in files) < 2 * 2**20
    requirements = (directory / "env" / "python" / "requirements.txt").read_text()
    assert "onnxruntime==" in requirements
    assert "--hash=sha256:" in requirements
    assert (directory.parent / "latest").read_text() == version


def test_the_same_files_are_the_same_bento_and_others_another(home: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = bento.build("toy:1", project)
    with monkeypatch.context() as without:
        without.setattr(subprocess, "run", None)  # found, not built
        assert bento.build("toy:1", project) == first
    service = project / "service" / "service.py"
    before = service.read_text()
    service.write_text(before + "\n# changed\n")
    try:
        second = bento.build("toy:1", project)
    finally:
        service.write_text(before)
    assert second != first
    assert not list(home.glob(".canari-build-*"))


def test_what_cannot_be_built_leaves_nothing(home: Path, tmp_path: Path, project: Path) -> None:
    with pytest.raises(UsageError, match="no model nobody:1"):
        bento.build("nobody:1")
    with pytest.raises(UsageError, match=r"no bentofile\.yaml in"):
        bento.build("toy:1", tmp_path)
    broken = tmp_path / "broken"
    shutil.copytree(project, broken)
    (broken / "service" / "service.py").write_text("import nothing_of_that_name\n")
    before = sorted(home.glob("bentos/*/*"))
    with pytest.raises(CanariError, match=r"bentoml build of toy:1 in .*/broken failed: .*nothing_of_that_name"):
        bento.build("toy:1", broken)
    assert sorted(home.glob("bentos/*/*")) == before


def test_canari_serves_a_bento_with_its_owners_endpoints(home: Path, project: Path) -> None:
    tag = bento.build("toy:1", project)
    with serving("--bento", tag) as server, httpx.Client(base_url=server.url, timeout=30) as client:
        predicted = client.post("/predict", json=[ROW])
        assert predicted.json() == PREDICTED | {"bento": tag}
        assert predicted.headers["x-canari-bento"] == tag
        answer = client.post("/label", json={"age": 30})
        assert (answer.status_code, answer.text) == (200, "toy at 30")
        assert (answer.headers["x-canari-version"], answer.headers["x-canari-bento"]) == ("1", tag)
        tensors = [
            {"name": name, "shape": [1, 1], "datatype": datatype, "data": [ROW[name]]} for name, datatype in DATATYPES.items()
        ]
        inferred = client.post("/v2/models/toy/infer", json={"inputs": tensors})
        assert inferred.json()["parameters"] == {"bento": tag}
        assert "<title>toy 1</title>" in client.get("/").text
        assert "/label" in client.get("/docs.json").json()["paths"]
        assert client.get("/nothing").status_code == 404
        assert client.get("/v2/models/other").json()["error"].startswith("no such model")
        with triton_grpc.InferenceServerClient(server.grpc) as triton:
            assert triton.is_model_ready("toy")
        assert server.stop() == 0


def test_canari_serves_a_bentos_folder(home: Path, project: Path) -> None:
    tag = bento.build("toy:1", project)
    name, version = tag.split(":")
    with serving("--bento", str(home / "bentos" / name / version)) as server:
        assert httpx.post(f"{server.url}/predict", json=[ROW]).json() == PREDICTED | {"bento": tag}


def test_bentoml_serves_and_builds_from_the_checkout(home: Path) -> None:
    bentoml = [sys.executable, "-m", "bentoml"]
    http, grpc = free_port(), free_port()
    arguments = ["--arg", "model=toy:1", "--arg", f"grpc_port={grpc}", "--port", str(http)]
    server = subprocess.Popen(
        [*bentoml, "serve", *arguments], cwd=CHECKOUT, stderr=subprocess.STDOUT, stdout=subprocess.PIPE, text=True
    )
    try:
        url = f"http://127.0.0.1:{http}"
        while not ready(f"{url}/readyz"):
            assert server.poll() is None, server.communicate()[0]
            time.sleep(0.1)
        assert httpx.post(f"{url}/predict", json=[ROW]).json() == PREDICTED
        assert "<title>toy 1</title>" in httpx.get(f"{url}/").text
        assert 'canari_rows_total{model="toy"' in httpx.get(f"{url}/metrics").text
        assert httpx.get(f"{url}/docs.json").json()["info"]["title"] == "canari"
        with triton_grpc.InferenceServerClient(f"127.0.0.1:{grpc}") as triton:
            assert triton.is_model_ready("toy", "1")
    finally:
        server.terminate()
        server.communicate(timeout=30)
    environment = {**os.environ, "BENTOML_DO_NOT_TRACK": "true"}
    built = subprocess.run(
        [*bentoml, "build", "--arg", "model=toy:1", "--output", "tag"],
        cwd=CHECKOUT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    name, version = built.stdout.strip().removeprefix("__tag__:").split(":")
    assert (home / "bentos" / name / version / "src" / "canari" / "serving" / "app.py").is_file()


def ready(url: str) -> bool:
    try:
        return httpx.get(url).status_code == 200
    except httpx.TransportError:
        return False
