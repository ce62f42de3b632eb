"""The names of external files are read out of any ONNX model, wherever they stand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import (
    AttributeProto,
    FunctionProto,
    GraphProto,
    ModelProto,
    NodeProto,
    TensorProto,
    TrainingInfoProto,
)

from loadonce.loaders.onnxfile import MalformedModelError, external_locations


def tensor(location: str) -> TensorProto:
    made = TensorProto(name=location, dims=[2], data_type=1, data_location=TensorProto.EXTERNAL)
    made.external_data.add(key="offset", value="0")
    made.external_data.add(key="location", value=location)
    return made


def test_they_are_found_wherever_a_tensor_can_stand() -> None:
    graph = GraphProto(initializer=[tensor("a"), TensorProto(float_data=[1.0, 2.0])])
    graph.sparse_initializer.add().values.CopyFrom(tensor("b"))
    node = NodeProto(op_type="If", doc_string="x" * 1000)
    node.attribute.append(AttributeProto(name="t", t=tensor("c"), f=1.5, i=300))
    node.attribute.append(AttributeProto(name="g", g=GraphProto(initializer=[tensor("d")])))
    node.attribute.append(AttributeProto(name="ts", tensors=[tensor("e")]))
    inner = GraphProto(node=[NodeProto(attribute=[AttributeProto(t=tensor("f"))])])
    node.attribute.append(AttributeProto(name="gs", graphs=[inner]))
    graph.node.append(node)
    model = ModelProto(
        ir_version=10,
        graph=graph,
        functions=[FunctionProto(node=[NodeProto(attribute=[AttributeProto(t=tensor("g"))])])],
    )
    model.training_info.append(TrainingInfoProto(algorithm=GraphProto(initializer=[tensor("h")])))
    found = external_locations(memoryview(model.SerializeToString()))
    assert found == set("abcdefgh")


def test_double_fields_are_stepped_over() -> None:
    made = TensorProto(double_data=[1.0])
    content = (
        b"\x09"
        + bytes(8)
        + b"\x0d"
        + bytes(4)
        + ModelProto(graph=GraphProto(initializer=[tensor("a"), made])).SerializeToString()
    )
    assert external_locations(memoryview(content)) == {"a"}


@pytest.mark.parametrize(
    "content",
    [b"\xff", b"\xff" * 20, b"\x3a\x05ab", b"\x0b", b"\x3a\x04\x2a\x02\x6a\x09", b"\x3a"],
)
def test_what_is_no_model_is_refused(content: bytes) -> None:
    with pytest.raises(MalformedModelError):
        external_locations(memoryview(content))


def test_names_that_are_not_utf8_are_refused() -> None:
    content = ModelProto(graph=GraphProto(initializer=[tensor("zzzz")])).SerializeToString()
    with pytest.raises(MalformedModelError):
        external_locations(memoryview(content.replace(b"zzzz", b"\xff\xff\xff\xff")))


def _field(number: int, content: bytes) -> bytes:
    size, encoded = len(content), b""
    while size > 0x7F:
        encoded += bytes([size & 0x7F | 0x80])
        size >>= 7
    return bytes([number << 3 | 2]) + encoded + bytes([size]) + content


def test_nesting_without_end_is_refused() -> None:
    graph = b""
    for _ in range(60):
        graph = _field(1, _field(5, _field(6, graph)))  # node, attribute, graph
    with pytest.raises(MalformedModelError, match="nested too deep"):
        external_locations(memoryview(_field(7, graph)))


@given(st.binary(max_size=100))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    try:
        external_locations(memoryview(content))
    except MalformedModelError:
        return
