"""Makes `open_inference_pb2.py` and its types from `open_inference.proto`: `python -m canari.serving.oip.generate`.

The messages get a descriptor pool of their own: Triton's client registers the same names, and in one pool the second import
of the two would fail.
"""

import sys
import tempfile
from importlib.resources import files
from pathlib import Path

HERE = Path(__file__).parent
GENERATED = ("open_inference_pb2.py", "open_inference_pb2.pyi")


def generate(target: Path) -> None:
    """Write the generated modules into the directory `target`; needs grpcio-tools."""
    from grpc_tools import protoc

    well_known = files("grpc_tools") / "_proto"
    with tempfile.TemporaryDirectory() as name:
        arguments = [f"-I{HERE}", f"-I{well_known}", f"--python_out={name}", f"--pyi_out={name}", "open_inference.proto"]
        if protoc.main(["protoc", *arguments]) != 0:
            sys.exit(1)
        for file in GENERATED:
            text = (Path(name) / file).read_text()
            (target / file).write_text(text.replace("_descriptor_pool.Default()", "_descriptor_pool.DescriptorPool()"))


if __name__ == "__main__":
    generate(HERE)
