"""What a conversion says of itself."""

from __future__ import annotations

from loadonce.convert.model import Feature, Unconvertible


def test_a_feature_knows_no_values_unless_told() -> None:
    assert Feature("age", "number") == Feature("age", "number", (), ())


def test_the_reason_is_the_message() -> None:
    assert str(Unconvertible("step 'scale': no")) == "step 'scale': no"
