"""The committed protocol: generated from its source, and the published one field by field."""

from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2
from tritonclient.grpc import service_pb2

from canari.serving.oip import generate, open_inference_pb2


def test_the_generated_modules_are_those_of_the_source(tmp_path: Path) -> None:
    generate.generate(tmp_path)
    for name in generate.GENERATED:
        assert (tmp_path / name).read_text() == (generate.HERE / name).read_text(), (
            f"{name}: run python -m canari.serving.oip.generate"
        )


_Field = descriptor_pb2.FieldDescriptorProto


def fields(message: Any) -> dict[str, Any]:
    """Number, type and label of each field by its name, nested messages too."""
    found: dict[str, Any] = {f.name: (f.number, f.type, f.label, f.type_name) for f in message.field}
    return found | {f"{message.name}.{nested.name}": fields(nested) for nested in message.nested_type}


def test_every_field_is_tritons_or_published_since() -> None:
    ours, theirs = descriptor_pb2.FileDescriptorProto(), descriptor_pb2.FileDescriptorProto()
    open_inference_pb2.DESCRIPTOR.CopyToProto(ours)
    service_pb2.DESCRIPTOR.CopyToProto(theirs)
    assert ours.package == theirs.package == "inference"
    published = {message.name: fields(message) for message in theirs.message_type}
    # The published proto has them, Triton's has not: a map of texts, field 6.
    published["ModelMetadataResponse"] |= {
        "properties": (6, _Field.TYPE_MESSAGE, _Field.LABEL_REPEATED, ".inference.ModelMetadataResponse.PropertiesEntry"),
        "ModelMetadataResponse.PropertiesEntry": {
            "key": (1, _Field.TYPE_STRING, _Field.LABEL_OPTIONAL, ""),
            "value": (2, _Field.TYPE_STRING, _Field.LABEL_OPTIONAL, ""),
        },
    }
    for message in ours.message_type:
        assert fields(message) == published[message.name]
    methods = {m.name: (m.input_type, m.output_type) for m in theirs.service[0].method}
    assert theirs.service[0].name == ours.service[0].name
    assert {m.name: (m.input_type, m.output_type) for m in ours.service[0].method}.items() <= methods.items()
