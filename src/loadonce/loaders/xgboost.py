"""XGBoost models in XGBoost's own formats (JSON or UBJ), not as pickles."""

from __future__ import annotations

from loadonce.artifacts import Source
from loadonce.errors import ConfigurationError
from loadonce.loaders.base import Loader, only_on_one_thread

_KINDS = {
    "booster": "Booster",
    "classifier": "XGBClassifier",
    "regressor": "XGBRegressor",
    "ranker": "XGBRanker",
}


def read(source: Source, *, as_: str = "booster", threads: int = 1) -> object:
    """An `xgboost.Booster`, or one of xgboost's sklearn classes.

    Args:
        as_: "booster", "classifier", "regressor" or "ranker".
        threads: for one prediction. More than one and a fork afterwards hang in the child.
    """
    import xgboost

    if as_ not in _KINDS:
        raise ConfigurationError(f"as_ must be one of {', '.join(_KINDS)}, not {as_!r}")
    if bytes(source.data[:1]) != b"{":  # so both begin; an empty file would abort the process
        raise ValueError("neither JSON nor UBJ")
    model = getattr(xgboost, _KINDS[as_])()
    model.load_model(bytearray(source.data))
    if as_ == "booster":
        model.set_param({"nthread": threads})
    else:
        model.set_params(n_jobs=threads)
    return model


LOADER = Loader(
    name="xgboost",
    read=read,
    suffixes=(".ubj", ".xgb"),
    extra="xgboost",
    modules=("xgboost",),
    libraries=("xgboost",),
    fork=only_on_one_thread,
    holds_gil=False,  # the parser is C++, called through ctypes
    estimate=lambda source: 2 * source.size,
)
