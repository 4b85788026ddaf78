"""Makes `open_inference_pb2.py` and its types from `open_inference.proto`: `python -m canari.serving.oip.generate`.

The messages get a descriptor pool of their own: Triton's client registers the same names, and in one pool the second import
of the two would fail.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
PROTO = "open_inference.proto"
GENERATED = ("open_inference_pb2.py", "open_inference_pb2.pyi")


def protoc(*options: str, path: Path | None = None) -> None:
    """Run protoc on the proto; `path` is a directory with plugins of it. Needs grpcio-tools."""
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{HERE}", *options, PROTO]
    environment = os.environ if path is None else {**os.environ, "PATH": f"{path}{os.pathsep}{os.environ['PATH']}"}
    subprocess.run(command, check=True, env=environment)


def generate(target: Path) -> None:
    """Write the generated modules into the directory `target`."""
    with tempfile.TemporaryDirectory() as name:
        protoc(f"--python_out={name}", f"--pyi_out={name}")
        for file in GENERATED:
            text = (Path(name) / file).read_text()
            (target / file).write_text(text.replace("_descriptor_pool.Default()", "_descriptor_pool.DescriptorPool()"))


if __name__ == "__main__":
    generate(HERE)
