"""The nodes and constants of one ONNX graph, each made once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike, NDArray
from onnx import TensorProto, helper

OPSETS = {"": 22, "ai.onnx.ml": 5}
IR_VERSION = 10


class Builder:
    """Collects nodes; the same operation on the same inputs is the same node."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[tuple[object, ...], onnx.TensorProto] = {}
        self._known: dict[tuple[object, ...], str] = {}
        self.widths: dict[str, int] = {}
        """Of tensors shaped `[None, width]` that steps hand on."""

    def op(self, operator: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """Add a node with one output; returns the output's name."""
        key = (operator, inputs, repr(sorted(attributes.items())))
        if key not in self._known:
            self._known[key] = f"#{len(self._nodes)}"
            self._nodes.append(
                helper.make_node(operator, inputs, [self._known[key]], domain=domain, **attributes)
            )
        return self._known[key]

    def ml(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Add a node of the operators for classical models."""
        return self.op(operator, *inputs, domain="ai.onnx.ml", **attributes)

    def constant(self, values: ArrayLike) -> str:
        """A constant in the type of `values`: double, float, int64 or bool."""
        array = np.asarray(values)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            self._constants[key] = tensor(array, f"={len(self._constants)}")
        return self._constants[key].name

    def numbers(self, values: ArrayLike) -> str:
        """A constant of doubles."""
        return self.constant(np.asarray(values, dtype=np.float64))

    def integers(self, *values: int) -> str:
        """A list of int64: axes, indexes and shapes."""
        return self.constant(np.asarray(values, dtype=np.int64))

    def cast(self, source: str, to: str) -> str:
        """`source` as `double`, `float` or `int64`."""
        return self.op("Cast", source, to=getattr(TensorProto, to.upper()))

    def take(self, source: str, indexes: ArrayLike) -> str:
        """These columns of `source`, in this order."""
        places = self.constant(np.asarray(indexes, dtype=np.int64))
        return self.op("Gather", source, places, axis=1)

    def concat(self, sources: Sequence[str]) -> str:
        """Side by side."""
        return sources[0] if len(sources) == 1 else self.op("Concat", *sources, axis=1)

    def smallest(self, source: str, count: int) -> tuple[str, str]:
        """The smallest values of each row of `source`, in order, and their places."""
        names = [f"#{len(self._nodes)}", f"#{len(self._nodes)}'"]
        self._nodes.append(
            helper.make_node("TopK", [source, self.integers(count)], names, largest=0)
        )
        return names[0], names[1]

    def model(
        self, inputs: Sequence[onnx.ValueInfoProto], outputs: dict[str, tuple[str, int, list[Any]]]
    ) -> onnx.ModelProto:
        """The model of what `outputs` (name: source, element type, shape) need, and no more."""
        named = [
            helper.make_node("Identity", [source], [name])
            for name, (source, _, _) in outputs.items()
        ]
        nodes, needed = _needed([*self._nodes, *named])
        graph = helper.make_graph(
            nodes,
            "loadonce",
            inputs,
            [helper.make_tensor_value_info(n, t, shape) for n, (_, t, shape) in outputs.items()],
            [each for each in self._constants.values() if each.name in needed],
        )
        opsets = [helper.make_opsetid(domain, version) for domain, version in OPSETS.items()]
        model: onnx.ModelProto = helper.make_model(
            graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="loadonce"
        )
        onnx.checker.check_model(model)
        return model


def tensor(values: NDArray[Any], name: str = "") -> onnx.TensorProto:
    """A tensor of an array."""
    return onnx.numpy_helper.from_array(np.ascontiguousarray(values), name)


def _needed(nodes: Sequence[onnx.NodeProto]) -> tuple[list[onnx.NodeProto], set[str]]:
    """The nodes that lead to an Identity, which only outputs are; and every name they use."""
    needed: set[str] = set()
    kept = []
    for node in reversed(nodes):
        if node.op_type == "Identity" or needed & set(node.output):
            needed |= set(node.input)
            kept.append(node)
    return _renamed(kept[::-1]), needed


def _renamed(nodes: list[onnx.NodeProto]) -> list[onnx.NodeProto]:
    """The outputs' names on what the nodes make and read, as far as each has but one."""
    made = {name for node in nodes for name in node.output}
    names: dict[str, str] = {}
    kept = []
    for node in nodes:
        if node.op_type == "Identity" and node.input[0] in made and node.input[0] not in names:
            names[node.input[0]] = node.output[0]
        else:
            kept.append(node)
    for node in kept:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    return kept
