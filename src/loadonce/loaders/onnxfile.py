"""Which external files an ONNX model names, read from its protobuf without any library.

onnxruntime would look for them on disk by itself; they must be among the locked ones instead. Only
the few fields on the way to a tensor are followed, everything else is stepped over.
"""

from __future__ import annotations

from collections.abc import Iterator

# field number -> what it holds (onnx.proto): of a model, graph, node, attribute, function
_FOLLOW: dict[str, dict[int, str]] = {
    "model": {7: "graph", 25: "function", 20: "training"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "external"},
}
_MAX_DEPTH = 100


class MalformedModelError(Exception):
    """The bytes are not an ONNX model."""


def external_locations(model: memoryview) -> frozenset[str]:
    """The relative paths of all external data. Raises MalformedModelError."""
    try:
        return frozenset(_locations(model, "model", 0))
    except (IndexError, UnicodeDecodeError) as exc:
        raise MalformedModelError("not an ONNX model") from exc


def _locations(message: memoryview, kind: str, depth: int) -> Iterator[str]:
    if depth > _MAX_DEPTH:
        raise MalformedModelError("nested too deep")
    for number, value in _fields(message):
        inner = _FOLLOW[kind].get(number)
        if inner == "external":
            entry = dict(_fields(value))
            if bytes(entry.get(1, b"")) == b"location":
                yield bytes(entry.get(2, b"")).decode("utf-8")
        elif inner is not None:
            yield from _locations(value, inner, depth + 1)


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Number and content of each length-delimited field."""
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        wire = tag & 7
        if wire == 0:
            _, position = _varint(message, position)
        elif wire == 1:
            position += 8
        elif wire == 5:
            position += 4
        elif wire == 2:
            size, position = _varint(message, position)
            if position + size > len(message):
                raise IndexError
            yield tag >> 3, message[position : position + size]
            position += size
        else:
            raise IndexError


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
        if shift > 63:
            raise IndexError
