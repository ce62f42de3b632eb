"""Where the original and a graph may answer otherwise, there are rows that show it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from onnx import TensorProto, helper, numpy_helper
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    BaggingRegressor,
    GradientBoostingRegressor,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    VotingClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    PowerTransformer,
    StandardScaler,
)
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from loadonce.convert import thresholds
from loadonce.convert.answers import Answers, Converted, Original
from loadonce.convert.candidates import (
    NoRowAcceptedError,
    accepted_values,
    find_base,
    refused_kinds,
    usual_values,
)
from loadonce.convert.model import Feature, Graph
from loadonce.convert.proving import judge, prove
from loadonce.convert.report import Difference, differences_told
from loadonce.convert.rows import Rows
from loadonce.convert.stored import StoredRowsError, read_rows, stored_rows
from loadonce.convert.thresholds import Reached, rows_at_thresholds
from loadonce.convert.trees import groves, transformed

from . import builders
from .conftest import pipeline

REQUEST: dict[str, Any] = {"rows": None, "golden": [], "seed": 0, "tolerance": 2e-6}


def graph(*features: Feature | str, kind: Any = "regressor", classes: Any = None) -> Graph:
    """No graph, only what it says of the features."""
    made = tuple(f if isinstance(f, Feature) else Feature(f, "number") for f in features)
    model: Any = None
    return Graph(model, made, True, kind, classes, None, "float64", {})


def rows_of(*columns: Sequence[object]) -> Rows:
    arrays = [
        np.array(each, dtype=object if any(isinstance(v, str | None) for v in each) else float)
        for each in columns
    ]
    return Rows(tuple(arrays), np.full(len(columns[0]), -1))


def survey(estimator: Any, described: Graph) -> tuple[Reached, Original]:
    """The rows at the thresholds of an estimator."""
    generator = np.random.default_rng(0)
    original = Original(estimator, described)
    with np.errstate(all="ignore"):
        candidates = usual_values(estimator, described, None)
        base = find_base(original, candidates, generator)
        candidates, _refused = accepted_values(original, candidates, base)
        return rows_at_thresholds(original, candidates, base, generator), original


# -- the whole proof -----------------------------------------------------------------------------


@pytest.mark.parametrize("tree", [DecisionTreeClassifier, DecisionTreeRegressor])
def test_a_right_graph_is_equal_on_thousands_of_rows(tree: Any) -> None:
    model = pipeline(tree(max_depth=6, random_state=0))
    proof, refuses = prove(model, builders.build(model, None), REQUEST)
    assert proof.is_equal
    assert proof.rows > 2_000
    assert proof.one_by_one == 200
    assert proof.thresholds_compared == proof.thresholds > 20
    assert proof.left_out == 3 * 2  # the infinities of each feature
    assert proof.left_out_but_answered == proof.left_out  # this builder marks none
    assert refuses == {"infinite": ["x0", "x1", "x2"]}


@pytest.mark.parametrize("tree", [DecisionTreeClassifier, DecisionTreeRegressor])
def test_every_threshold_that_is_one_float_off_is_found_and_its_feature_named(tree: Any) -> None:
    """The control, for each node in turn."""
    model = pipeline(tree(max_depth=4, random_state=0))
    inner = np.flatnonzero(model[-1].tree_.children_left != -1)
    for node in inner.tolist():
        proof, _refuses = prove(model, builders.off(model, node), REQUEST)
        assert not proof.is_equal
        probed = {each.feature for each in proof.differences}
        assert f"x{model[-1].tree_.feature[node]}" in probed
        assert proof.differing <= 20


def test_a_missing_value_that_goes_the_wrong_way_is_found_at_every_node() -> None:
    model = pipeline(DecisionTreeRegressor(max_depth=4, random_state=0))
    ((tree,),) = [grove.trees for grove in groves(model)]
    for node in np.flatnonzero(tree.column >= 0).tolist():
        proof, _refuses = prove(model, builders.astray(model, node), REQUEST)
        low, high, gets_there = thresholds._bounds(tree, node).get(tree.column[node], (0, 0, True))
        assert proof.is_equal is not gets_there, (low, high)


def test_stored_rows_are_told_by_their_index_and_never_by_a_value() -> None:
    model = pipeline(DecisionTreeRegressor(max_depth=3, random_state=0))
    rows = {"x0": [2.5, 3.5], "x1": [4.0, 4.0], "x2": [-6.0, -6.0]}
    proof, _ = prove(model, builders.swapped(model, None), {**REQUEST, "rows": rows})
    first = proof.differences[0]
    assert (first.row, first.is_stored, first.feature, first.what) == (0, True, "", "value")
    told = differences_told(proof.differences, proof.differing)
    assert "stored row 0: value by" in told
    assert told.endswith(f"; and {proof.differing - 10} more")
    assert str(Difference(3, False, "bmi", "label", 1.0)) == "sampled row 3, probing 'bmi': label"


def test_named_frames_with_texts_and_missing_values_are_given_as_they_were_trained() -> None:
    frame = pd.DataFrame(
        {"sex": ["f", "m", np.nan, "f"] * 9, "age": [20.0, 30.0, 40.0, np.nan] * 9}
    )
    encoder = OneHotEncoder(handle_unknown="ignore")
    columns = ColumnTransformer(
        [("text", encoder, ["sex"]), ("number", SimpleImputer(), ["age"]), ("no", "drop", ["age"])]
    )
    forest = RandomForestClassifier(n_estimators=5, max_depth=3, random_state=0)
    model = make_pipeline(columns, forest).fit(frame, [0, 1, 1, 0, 0, 0, 1, 1, 1] * 4)
    described = graph(Feature("sex", "text", ("f", "m")), "age", kind="classifier", classes=[0, 1])
    reached, original = survey(model, described)
    kept, answers = original.answers_to_all(reached.rows)
    assert reached.compared(kept) == reached.total > 3
    assert answers.labels is not None
    assert {"f", "m", None} <= set(reached.rows.columns[0].tolist())


# -- trees, wherever they are --------------------------------------------------------------------

X = np.random.default_rng(1).normal(size=(200, 3)) * [1, 10, 0.1]
Y = X[:, 0] + np.sin(X[:, 1]) + X[:, 2] * 10
LABELS = (Y > 0).astype(int)
WRAPPED: dict[str, Any] = {
    "forest": RandomForestClassifier(n_estimators=4, max_depth=4, random_state=0),
    "boosting": make_pipeline(
        PowerTransformer(), GradientBoostingRegressor(n_estimators=4, random_state=0)
    ),
    "histogram": HistGradientBoostingRegressor(max_iter=5, min_samples_leaf=5),
    "histogram of categories": HistGradientBoostingRegressor(
        max_iter=5, min_samples_leaf=5, categorical_features=[1]
    ),
    "vote": VotingClassifier(
        [
            ("linear", LogisticRegression()),
            ("tree", make_pipeline(StandardScaler(), DecisionTreeClassifier(max_depth=3))),
        ],
        voting="soft",
    ),
    "calibration": CalibratedClassifierCV(DecisionTreeClassifier(max_depth=3), cv=2),
    "target": TransformedTargetRegressor(DecisionTreeRegressor(max_depth=3)),
    "passthrough": make_pipeline("passthrough", None, DecisionTreeRegressor(max_depth=3)),
}


@pytest.mark.parametrize("name", WRAPPED)
def test_all_thresholds_are_reached_on_both_sides(name: str) -> None:
    model = WRAPPED[name]
    is_classifier = hasattr(model, "predict_proba")
    x, y = X, LABELS if is_classifier else Y
    if name == "histogram of categories":
        x = np.column_stack([X[:, 0], np.arange(200) % 5, X[:, 2]])
        y = x[:, 1] % 2 * 50 + x[:, 0]  # a category decides first
    model.fit(x, y)
    described = graph("a", "b", "c", kind="classifier" if is_classifier else "regressor")
    reached, original = survey(model, described)
    kept, _answers = original.answers_to_all(reached.rows)
    assert kept.all()
    assert reached.compared(kept) == reached.total > 4


def test_a_node_that_asks_only_whether_a_value_is_missing_is_reached_on_both_sides() -> None:
    rows = X.copy()
    rows[::3, 1] = np.nan
    y = np.isnan(rows[:, 1]) * (50 + X[:, 0])
    model = HistGradientBoostingRegressor(max_iter=3, min_samples_leaf=5).fit(rows, y)
    assert np.isinf([tree.threshold[0] for grove in groves(model) for tree in grove.trees]).all()
    reached, original = survey(model, graph("a", "b", "c"))
    assert reached.compared(original.answers_to_all(reached.rows)[0]) == reached.total > 4


def test_of_very_many_nodes_one_for_each_threshold_is_enough(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = GradientBoostingRegressor(n_estimators=20, random_state=0).fit(X.round(1), Y)
    all_nodes, original = survey(model, graph("a", "b", "c"))
    monkeypatch.setattr(thresholds, "_SPARE_NODES", 0)
    monkeypatch.setattr(thresholds, "_WANTED", 0)
    fewer, _original = survey(model, graph("a", "b", "c"))
    kept, _answers = original.answers_to_all(fewer.rows)
    assert fewer.compared(kept) == fewer.total == all_nodes.total
    assert len(fewer.rows) < len(all_nodes.rows) / 4


@pytest.mark.filterwarnings("ignore:.*gblinear:UserWarning")  # that its time is over
def test_xgboost_and_lightgbm_have_trees_too() -> None:
    import lightgbm
    import xgboost

    boosted = xgboost.XGBRegressor(n_estimators=3, max_depth=3).fit(X, Y)
    reached, original = survey(boosted, graph("a", "b", "c"))
    assert reached.compared(original.answers_to_all(reached.rows)[0]) == reached.total > 4
    linear = xgboost.XGBRegressor(n_estimators=2, booster="gblinear").fit(X, Y)
    assert survey(linear, graph("a", "b", "c"))[0].total == 0
    light = lightgbm.LGBMRegressor(n_estimators=3, num_leaves=5, verbose=-1).fit(X, Y)
    reached, original = survey(light, graph("a", "b", "c"))
    assert reached.compared(original.answers_to_all(reached.rows)[0]) == reached.total > 4
    codes = np.column_stack([X[:, 0], np.arange(200) % 9])
    light = lightgbm.LGBMRegressor(n_estimators=3, min_data_in_leaf=2, verbose=-1)
    light.fit(codes, np.arange(200) % 9 % 2 * 50.0 + X[:, 0], categorical_feature=[1])
    assert survey(light, graph("a", "b"))[0].total > 0


def test_the_trees_of_a_bag_see_columns_of_their_own_and_are_not_looked_for() -> None:
    bag = BaggingRegressor(DecisionTreeRegressor(max_depth=2), n_estimators=2, max_features=0.5)
    assert list(groves(bag.fit(X, Y))) == []
    assert list(groves(LinearSVC())) == []


def test_mixed_columns_are_probed_as_far_as_they_can_be() -> None:
    """A column that several features make has its thresholds, of which not all are reached."""
    model = make_pipeline(PCA(2), StandardScaler(), DecisionTreeRegressor(max_depth=6)).fit(X, Y)
    reached, _original = survey(model, graph("a", "b", "c"))
    assert 0 < reached.compared(np.ones(len(reached.rows), bool)) <= reached.total


def test_a_threshold_that_no_value_can_pass_is_not_counted_as_compared() -> None:
    clip = FunctionTransformer(np.clip, kw_args={"a_min": 0.0, "a_max": 1.0})
    model = make_pipeline(clip, DecisionTreeRegressor(max_depth=1)).fit(X, X[:, 0])
    model[-1].tree_.threshold[0] = 7.0
    reached, _original = survey(model, graph("a", "b", "c"))
    assert (reached.total, len(reached.rows)) == (1, 0)


def test_a_threshold_that_no_row_can_get_to_is_not_counted_as_compared() -> None:
    tree = DecisionTreeRegressor(max_depth=2, random_state=0)
    model = make_pipeline(SimpleImputer(), tree).fit(X, (X[:, 0] > 0) * (1000 + X[:, 1]))
    tree.tree_.threshold[0] = 1e35  # so that nothing goes right, where the other one is
    reached, _original = survey(model, graph("a", "b", "c"))
    assert (reached.total, len(reached.rows)) == (2, 0)


def test_values_between_two_accepted_ones_may_be_refused() -> None:
    """Then the two themselves are taken, of which one goes left and one right."""
    rows = np.array([[0.0], [1.0], [2.0]] * 5)
    model = make_pipeline(OneHotEncoder(), DecisionTreeRegressor(max_depth=2, random_state=0))
    model.fit(rows, rows[:, 0])
    reached, original = survey(model, graph("a"))
    kept, _answers = original.answers_to_all(reached.rows)
    assert reached.compared(kept) == reached.total == 2
    assert set(reached.rows.columns[0].tolist()) == {0.0, 1.0, 2.0}


def test_sparse_columns_are_looked_at_as_dense_ones() -> None:
    encoder = OneHotEncoder().fit([[0.0], [1.0]])
    assert transformed([[1.0]], [encoder], True).tolist() == [[0.0, 1.0]]


# -- what the original refuses -------------------------------------------------------------------


def test_rows_that_the_original_refuses_are_left_out_one_by_one() -> None:
    model = LogisticRegression().fit(X, LABELS)
    original = Original(model, graph("a", "b", "c", kind="classifier"))
    rows = rows_of([1.0, np.nan, 3.0, 4.0], [1.0] * 4, [np.inf, 1.0, 1.0, 1.0])
    kept, answers = original.answers_to_all(rows)
    assert kept.tolist() == [False, False, True, True]
    assert answers.numbers.shape == (2, 2)
    kept, answers = original.answers_to_all(rows.take(slice(0, 2)))
    assert (kept.tolist(), len(answers.numbers)) == ([False, False], 0)


def test_a_model_that_answers_nothing_is_told_of_without_its_words() -> None:
    class Refusing:
        def predict(self, rows: object) -> object:
            raise ValueError("secret")

    original = Original(Refusing(), graph("a"))
    candidates = usual_values(Refusing(), graph("a"), None)
    with pytest.raises(NoRowAcceptedError, match=r"none of 200 sampled rows \(ValueError\)"):
        find_base(original, candidates, np.random.default_rng(0))


def test_running_out_of_memory_is_no_refusal() -> None:
    class Hungry:
        def predict(self, rows: object) -> object:
            raise MemoryError

    original = Original(Hungry(), graph("a"))
    with pytest.raises(MemoryError):
        original.answers_to_all(rows_of([1.0]))
    with pytest.raises(MemoryError):
        find_base(original, usual_values(Hungry(), graph("a"), None), np.random.default_rng(0))


def test_what_is_refused_is_told_by_kind_and_feature() -> None:
    refused = rows_of([np.nan, 1.0, 1.0, 1e30], ["a", None, "b", "a"])
    refused = Rows(refused.columns, np.array([0, 1, 1, 0]))
    kinds = {"missing": [0, 1], "unknown": [1], "extreme": [0]}  # "b" is not known either
    assert refused_kinds(refused) == kinds
    assert refused_kinds(refused.with_column(0, np.full(4, np.inf))) == {"infinite": [0]}


# -- the values that are tried -------------------------------------------------------------------


def test_fitted_parts_tell_which_values_are_usual() -> None:
    frame = pd.DataFrame({"a": X[:, 0] + 77, "b": [3.0, 8.0] * 100, "c": X[:, 2], "d": X[:, 2]})
    parts = ColumnTransformer(
        [
            ("one", StandardScaler(), ["a"]),
            ("mask", OneHotEncoder(), [False, True, False, False]),
            ("span", SimpleImputer(), slice(2, 3)),
            ("name", "drop", "d"),
            ("mean", SimpleImputer(), ["d"]),
            ("names", SimpleImputer(), slice("c", "d")),
        ]
    )
    model = make_pipeline(parts, LogisticRegression()).fit(frame, LABELS)
    stored = rows_of([0.5], [0.5], [0.123], [0.5])
    candidates = usual_values(model, graph("a", "b", "c", "d"), stored)
    assert any(76 < value < 78 for value in candidates[0].usual)  # type: ignore[operator]
    assert {3.0, 8.0} <= set(candidates[1].usual)
    assert 0.123 in candidates[2].usual
    assert frame["d"].mean() in candidates[3].usual


def test_texts_without_known_categories_are_tried_all_the_same() -> None:
    candidates = usual_values(object(), graph(Feature("a", "text")), None)
    assert candidates[0].usual == ("a", "b")


# -- stored rows ---------------------------------------------------------------------------------


def test_rows_are_read_from_json_csv_and_parquet(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": [1.5, None], "b": ["x", None]})
    frame.to_parquet(tmp_path / "rows.parquet")
    frame.to_csv(tmp_path / "rows.csv", index=False)
    (tmp_path / "rows.json").write_text('[{"a": 1.5, "b": "x"}, {}]')
    assert read_rows(tmp_path / "rows.parquet") == {"a": [1.5, None], "b": ["x", None]}
    assert read_rows(tmp_path / "rows.json") == {"a": [1.5, None], "b": ["x", None]}
    assert read_rows(tmp_path / "rows.csv") == {"a": [1.5, None], "b": ["x", ""]}


def test_stored_rows_are_put_into_the_features_columns() -> None:
    described = graph("n", Feature("t", "text"))
    rows = stored_rows(described, {"t": ["x", None, 3], "n": [1, None, True], "more": []}, [[5, 6]])
    assert rows.columns[0].tolist()[:2] == [5.0, 1.0]
    assert rows.columns[1].tolist() == ["6", "x", None, "3"]
    assert len(stored_rows(described, {"0": [1], "1": ["x"]}, [[1, 2, 3]])) == 1
    with pytest.raises(StoredRowsError, match="no column 'n', 't'"):
        stored_rows(described, {}, [])
    with pytest.raises(StoredRowsError, match=r"'n' holds what is no number$"):
        stored_rows(described, {"n": ["secret"], "t": ["x"]}, [])


# -- what counts as equal ------------------------------------------------------------------------


def answers(labels: Any, *numbers: Any) -> Answers:
    return Answers(None if labels is None else np.array(labels), np.array(numbers, dtype=float))


def test_labels_must_be_equal_whatever_their_types() -> None:
    pairs: list[tuple[Any, Any]] = [([True, False], [1, 0]), (["a", "b"], ["a", "b"])]
    for wanted, found in pairs:
        half = [[0.9, 0.1], [0.2, 0.8]]
        assert not judge(answers(wanted, *half), answers(found, *half), wanted).is_other_label.any()
        verdict = judge(answers(wanted, *half), answers(found[::-1], *half), wanted)
        assert verdict.is_other_label.all()


def test_a_label_whose_probability_equals_the_best_but_for_roundings_is_a_tie() -> None:
    tie = [0.5, 0.5 - 1e-16]
    verdict = judge(answers([0], tie), answers([1], tie), [0, 1])
    assert (verdict.is_other_label.tolist(), verdict.ties) == ([False], 1)
    near = [0.5 + 1e-12, 0.5 - 1e-12]  # the control: not a matter of roundings
    assert judge(answers([0], near), answers([1], near), [0, 1]).is_other_label.tolist() == [True]
    assert judge(answers([0], tie), answers([9], tie), [0, 1]).is_other_label.tolist() == [True]
    assert judge(answers([0], []), answers([1], []), [0, 1]).is_other_label.tolist() == [True]


def test_numbers_are_compared_relative_to_large_values_and_nan_equals_nan() -> None:
    wanted = answers(None, [1e6], [np.nan], [np.inf], [np.nan], [0.0])
    found = answers(None, [1e6 + 1], [np.nan], [np.inf], [1.0], [0.5])
    assert judge(wanted, found, None).amount.tolist() == [1e-6, 0.0, 0.0, np.inf, 0.5]


def test_another_shape_or_a_missing_label_is_a_difference() -> None:
    verdict = judge(answers([0], [0.5, 0.5]), answers([0], [0.5]), [0, 1])
    assert (verdict.is_other_label.tolist(), verdict.amount.tolist()) == ([True], [np.inf])
    assert judge(answers([0], [0.5]), answers(None, [0.5]), None).is_other_label.tolist() == [True]


def test_texts_are_sent_as_codes_and_a_graph_may_give_labels_alone() -> None:
    """As places, or as scores of which the first of the largest counts."""
    matrix = helper.make_tensor_value_info("X", TensorProto.DOUBLE, [None, 1])
    kinds = (("is", TensorProto.DOUBLE, [None, 3]), ("place", TensorProto.INT64, [None]))
    codes = numpy_helper.from_array(np.array([1.0, 0.0, -1.0]), "codes")
    nodes = [
        helper.make_node("Equal", ["X", "codes"], ["same"]),
        helper.make_node("Cast", ["same"], ["is"], to=TensorProto.DOUBLE),
        helper.make_node("ArgMax", ["is"], ["place"], axis=1, keepdims=0),
    ]
    said = graph(Feature("t", "text", ("a", "b")), kind="classifier", classes=["B", "A", "?"])
    for source, kind, shape in kinds:
        label = helper.make_tensor_value_info("label", kind, shape)
        named = [*nodes, helper.make_node("Identity", [source], ["label"])]
        model = helper.make_model(
            helper.make_graph(named, "g", [matrix], [label], [codes]),
            opset_imports=[helper.make_opsetid("", 21)],
            ir_version=10,
        )
        converted = Converted(replace(said, model=model))
        rows = rows_of(["a", None, "b", "other"])
        for found in (converted.answers(rows), converted.answers_one_by_one(rows)):
            assert found.labels is not None
            assert found.labels.tolist() == ["A", "?", "B", "B"]
            assert found.numbers.shape == (4, 0)


def test_a_classifier_without_probabilities_answers_labels_alone() -> None:
    model = LinearSVC().fit(X, LABELS)
    found = Original(model, graph("a", "b", "c", kind="classifier")).answers(
        rows_of([1.0], [1.0], [1.0])
    )
    assert found.numbers.shape == (1, 0)
