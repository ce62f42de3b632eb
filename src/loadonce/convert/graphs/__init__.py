"""A fitted estimator to an ONNX graph that gives the same answers, or `Unconvertible`."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from loadonce.convert.model import Graph


def build(
    estimator: object, feature_names: Sequence[str] | None, text: Collection[str] = ()
) -> Graph:
    """The graph of a fitted classifier or regressor: scikit-learn's, XGBoost's or LightGBM's.

    Preprocessing is computed in double, operation by operation as the original does it, and
    rounded to float32 only where the original rounds. Whether the answers really are the same is
    for a proof to say; what is known to differ is refused.

    Args:
        estimator: fitted; a pipeline, as a rule.
        feature_names: of the rows' columns, where the estimator was trained without names.
        text: features known to hold text. How a feature is used tells most of them.

    Raises:
        Unconvertible: naming the step, its class, and why.
    """
    from loadonce.convert.graphs.assembly import assembled

    return assembled(estimator, feature_names, text)


__all__ = ["build"]
