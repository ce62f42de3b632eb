"""The how-to names every class that has a graph, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from loadonce.convert.graphs.assembly import TABLES

PAGE = Path(__file__).parents[3] / "docs/how-to/convert.md"
BOTH = {
    *("DecisionTree", "ExtraTree", "RandomForest", "ExtraTrees"),
    *("GradientBoosting", "HistGradientBoosting"),
}


def test_the_page_names_the_classes_that_have_a_graph() -> None:
    section = PAGE.read_text().split("## What has a graph")[1].split("\n## ")[0]
    named = set(re.findall(r"`([A-Z]\w+)`", section)) - BOTH
    named |= {f"{name}{kind}" for name in BOTH for kind in ("Classifier", "Regressor")}
    tables = (TABLES.transformers, TABLES.classifiers, TABLES.regressors)
    assert named == {key.partition(".")[2] for table in tables for key in table}
