"""The operator for sums of trees walks them as their originals do, whatever is missing."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from loadonce.convert.graphs import ensembles
from loadonce.convert.graphs.building import Builder
from loadonce.convert.graphs.columns import computed
from loadonce.convert.graphs.ensembles import AT_MOST, BELOW, Tree, added, constant

TINY = 5e-324
SPLITS = (-np.inf, -2.5, -TINY, -0.0, 0.0, TINY, 1.0, 2.5, np.inf, np.nan)
VALUES = (*SPLITS, np.nan, *np.nextafter(SPLITS, -np.inf), *np.nextafter(SPLITS, np.inf))


@pytest.fixture(params=[1, ensembles._MANY], ids=["turned", "few"], autouse=True)
def _many(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """From how many nodes on the columns are negated."""
    monkeypatch.setattr(ensembles, "_MANY", request.param)


def graph(trees: list[Tree], width: int, dtype: type, *, may_lack: bool = True) -> onnx.ModelProto:
    """The sums of the trees."""
    kind = TensorProto.DOUBLE if dtype is np.float64 else TensorProto.FLOAT
    g = Builder()
    found = added(g, "X", computed(g, "X", width, may_lack), trees, 1, dtype)
    return g.model(
        [helper.make_tensor_value_info("X", kind, [None, width])],
        {"sum": (found, kind, [None, 1])},
    )


def summed(trees: list[Tree], rows: Any, dtype: type = np.float64) -> Any:
    """What the operator makes of some rows: `[rows, 1]`."""
    model = graph(trees, rows.shape[1], dtype)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"X": rows.astype(dtype)})[0]


def walked(tree: Tree, row: Any) -> float:
    """The leaf that a row reaches."""
    node, members = 0, dict(tree.members)
    while tree.left[node] >= 0:
        value, split = row[tree.feature[node]], tree.split[node]
        if np.isnan(value):
            is_left = tree.missing_left[node]
        elif node in members:
            is_left = value in members[node]
        else:
            is_left = value <= split if tree.mode == AT_MOST else value < split
        node = tree.left[node] if is_left else tree.right[node]
    return float(tree.weight[node])


def stump(split: float, *, missing_left: bool, mode: int, members: Any = ()) -> Tree:
    """One question; left adds 1, right 2."""
    return Tree(
        0,
        np.array([1, -1, -1]),
        np.array([2, -1, -1]),
        np.zeros(3, dtype=np.int64),
        np.array([split, 0.0, 0.0]),
        np.array([missing_left, False, False]),
        np.array([0.0, 1.0, 2.0]),
        mode,
        members,
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("mode", [AT_MOST, BELOW])
@pytest.mark.parametrize("missing_left", [False, True])
def test_a_question_is_answered_alike_on_each_side_of_its_split_and_at_infinity(
    dtype: type, mode: int, missing_left: bool
) -> None:
    tiny = float(np.finfo(dtype).smallest_subnormal)
    splits = np.array([tiny if s == TINY else -tiny if s == -TINY else s for s in SPLITS])
    single: Any = splits.astype(dtype)
    sides = [np.nextafter(single, dtype(way)) for way in (-np.inf, np.inf)]
    rows: Any = np.concatenate([single, *sides, [np.nan]]).astype(dtype)[:, None]
    for split in splits:
        tree = stump(float(split), missing_left=missing_left, mode=mode)
        expected = [walked(tree, row) for row in rows]
        assert summed([tree], rows, dtype)[:, 0].tolist() == expected, f"split {split}"


@pytest.mark.parametrize("missing_left", [False, True])
@pytest.mark.parametrize("members", [(), (3,), (0, 2, 5)])
def test_a_set_takes_its_members_and_nothing_else(
    missing_left: bool, members: tuple[int, ...]
) -> None:
    tree = stump(0.0, missing_left=missing_left, mode=AT_MOST, members=((0, members),))
    rows = np.array([0.0, 1.0, 2.0, 3.0, 5.0, -1.0, np.nan])[:, None]
    assert summed([tree], rows)[:, 0].tolist() == [walked(tree, row) for row in rows]


@st.composite
def forests(draw: st.DrawFn) -> list[Tree]:
    """Trees of any shape, of three columns, some of whose questions are sets."""
    trees = [constant(0, 0.5)] if draw(st.booleans()) else []
    for number in range(draw(st.integers(1, 3))):
        left, right = [-1], [-1]
        for _ in range(draw(st.integers(0, 8))):
            leaf = draw(st.sampled_from([i for i, each in enumerate(left) if each < 0]))
            left[leaf], right[leaf] = len(left), len(left) + 1
            left += [-1, -1]
            right += [-1, -1]
        size = len(left)
        inner = [node for node in range(size) if left[node] >= 0]
        mode = draw(st.sampled_from([AT_MOST, BELOW]))
        sets = draw(st.sets(st.sampled_from(inner), max_size=2)) if inner and not mode else set()
        trees.append(
            Tree(
                0,
                np.array(left),
                np.array(right),
                np.array(draw(st.lists(st.integers(0, 2), min_size=size, max_size=size))),
                np.array(draw(st.lists(st.sampled_from(SPLITS), min_size=size, max_size=size))),
                np.array(draw(st.lists(st.booleans(), min_size=size, max_size=size))),
                np.arange(size) * 0.25 + number * 64.0,
                mode,
                tuple((node, tuple(draw(st.sets(st.integers(0, 3))))) for node in sorted(sets)),
            )
        )
    return trees


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(forests(), st.lists(st.tuples(*[st.sampled_from((*VALUES, 2.0, 3.0))] * 3), min_size=1))
def test_any_trees_are_walked_as_their_originals(
    trees: list[Tree], values: list[tuple[float, ...]]
) -> None:
    rows = np.array(values)
    expected = [sum(walked(tree, row) for tree in trees) for row in rows]
    assert summed(trees, rows)[:, 0].tolist() == expected


@pytest.mark.parametrize("may_lack", [False, True])
def test_the_operator_looks_for_what_is_missing_in_few_nodes_only_and_where_it_can_be(
    may_lack: bool,
) -> None:
    tree = stump(0.0, missing_left=True, mode=AT_MOST)
    model = graph([tree], 1, np.float64, may_lack=may_lack)
    (found,) = (node for node in model.graph.node if node.op_type == "TreeEnsemble")
    looks = "nodes_missing_value_tracks_true" in [each.name for each in found.attribute]
    assert looks == (may_lack and ensembles._MANY > 1)


def test_the_operator_looks_for_nothing_that_is_missing_in_a_lone_leaf() -> None:
    model = graph([constant(0, 1.0)], 1, np.float64)
    (found,) = (node for node in model.graph.node if node.op_type == "TreeEnsemble")
    assert "nodes_missing_value_tracks_true" not in [each.name for each in found.attribute]
