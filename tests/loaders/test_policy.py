"""What `lock` accepts by itself, and what it never does."""

from __future__ import annotations

import importlib
import inspect
import io
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from sklearn._loss import HalfMultinomialLoss
from sklearn.base import BaseEstimator
from sklearn.compose import make_column_selector
from sklearn.utils import all_estimators

from loadonce.errors import UntrustedGlobalError
from loadonce.loaders import globalnames, policy
from loadonce.loaders.allowednames import ALLOWED
from loadonce.loaders.inert import collect_globals


def names_of(value: object, protocol: int = 4) -> tuple[str, ...]:
    return collect_globals(io.BytesIO(pickle.dumps(value, protocol)))


def test_every_estimator_of_sklearn_is_accepted() -> None:
    refused = [
        cls.__name__
        for _, cls in all_estimators()
        if not policy.is_accepted(f"{cls.__module__}.{cls.__name__}")
    ]
    assert refused == []


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_what_numbers_are_kept_in_is_accepted(protocol: int) -> None:
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", "y"], "c": pd.to_datetime(["2025", "2026"])})
    values = [
        np.arange(3),
        np.float64(1),
        np.random.RandomState(0),
        np.random.default_rng(0),
        np.log1p,
        make_column_selector(dtype_include=np.number),
        HalfMultinomialLoss(),  # of boosters with more than two classes
        np.array(["a"], dtype=object),
        np.ma.masked_array([1]),
        scipy.sparse.eye(3).tocsr(),
        frame,
        frame.set_index("b"),
        frame.astype({"b": "category"}),
        pd.Timestamp(0),
        slice(1),
    ]
    for value in values:
        assert policy.untrusted(names_of(value, protocol)) == (), repr(value)


@pytest.mark.parametrize(
    "name",
    [
        "os.system", "posix.system", "builtins.eval", "builtins.getattr", "builtins.__import__",
        "builtins.type", "functools.partial", "operator.attrgetter", "operator.methodcaller",
        "numpy.memmap", "numpy.load", "numpy.save", "numpy.vectorize", "numpy.testing.measure",
        "numpy.f2py.crackfortran.myeval", "numpy._core._ufunc_reconstruct",
        "numpy.core._ufunc_reconstruct", "scipy.stats._distn_infrastructure.rv_continuous_frozen",
        "scipy.stats._continuous_distns.norm_gen", "scipy._lib.decorator.FunctionMaker",
        "joblib.numpy_pickle_compat.NDArrayWrapper", "joblib.parallel.Parallel",
        "sklearn.utils.parallel.Parallel", "sklearn.utils.parallel._FuncWrapper",
        "sklearn.callback._scoring_monitor.ScoringMonitor", "sklearn.datasets.load_iris",
        "sklearn.pipeline.make_pipeline", "sklearn.pipeline.clone", "sklearn.pipeline.np",
        "sklearn.pipeline:Pipeline.fit", "sklearn.pipeline:joblib.os.system", "sklearn.no.Thing",
        "sklearn.Pipeline", "sklearnx.pipeline.Pipeline", "pandas.read_pickle", "pandas.eval",
        "sklearn.tests.test_base.MyEstimator", "sklearn.externals.x.Y", "vitalcheck.features.Age",
        "sklearn/../../x.Y", "no dots", "", "sklearn.pipeline.", "numpy.*",
        "sklearn.pipeline.<lambda>",
    ],
)  # fmt: skip
def test_what_can_do_more_is_not_accepted(name: str) -> None:
    assert policy.untrusted([name]) == (name,)
    assert policy.untrusted([name], allow=[name]) == ()


def test_numpy_1_names_are_read_as_numpy_2_names() -> None:
    assert policy.is_accepted("numpy.core.multiarray._reconstruct")


def test_the_scipy_distributions_execute_text_of_their_state() -> None:
    """Why they are left out, shown: the control for the list's own claim."""
    import scipy.stats

    distribution = scipy.stats.norm
    state = {**distribution.__dict__, "_parse_arg_template": "raise SystemExit('executed')"}
    fresh = object.__new__(type(distribution))
    with pytest.raises(SystemExit, match="executed"):
        fresh.__setstate__(state)


def test_the_list_names_things_that_exist_and_no_modules_or_methods() -> None:
    """A typo would silently refuse honest files."""
    missing = []
    for name in sorted(ALLOWED):
        module, attribute = globalnames.split(name)
        try:
            found = getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError):
            missing.append(name)
            continue
        assert callable(found) or name == "pandas.NA", name
        assert not inspect.ismodule(found), name
    packages = {name.partition(".")[0] for name in missing}
    assert packages <= {"numpy", "pandas", "sklearn", "pathlib", "scipy"}, missing  # other versions
    assert len(missing) < 40, missing


def test_deciding_imports_nothing() -> None:
    """A hostile name must not even get its module imported."""
    script = (
        "import sys; from loadonce.loaders import policy\n"
        "names = ['sklearn.pipeline.Pipeline', 'antigravity.x', 'sklearn.svm._classes.SVC']\n"
        "print(policy.untrusted(names), 'sklearn' in sys.modules, 'antigravity' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "('antigravity.x',) False False"


def test_without_sklearn_its_classes_are_not_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy, "_package_directory", lambda name: None)
    policy._sklearn_classes.cache_clear()
    assert not policy.is_accepted("sklearn.pipeline.Pipeline")
    policy._sklearn_classes.cache_clear()


def test_packages_are_found_without_importing_them() -> None:
    assert policy._package_directory("sklearn") == Path(inspect.getfile(BaseEstimator)).parent
    assert policy._package_directory("no_such_package") is None
    assert policy._package_directory("pickle") is None


def test_many_refused_names_are_counted() -> None:
    with pytest.raises(UntrustedGlobalError, match="and 3 more"):
        policy.require_trusted("a.pkl", [f"os.x{number}" for number in range(13)], ())
    policy.require_trusted("a.pkl", ["numpy.dtype"], ())


def test_what_belongs_to_a_script_is_to_be_moved_out_of_it() -> None:
    """To allow it would help nobody: the server's script is another one."""
    with pytest.raises(UntrustedGlobalError, match="define it in a module") as caught:
        policy.require_trusted("a.pkl", ["__main__.scale"], ())
    assert "--allow" not in caught.value.hint
    with pytest.raises(UntrustedGlobalError, match=r"--allow shop\.Scale"):  # the control
        policy.require_trusted("a.pkl", ["shop.Scale"], ())
