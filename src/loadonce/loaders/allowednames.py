"""The globals that `loadonce lock` accepts by exact name, with the reason for each group.

Left out on purpose, although pickles of honest models may ask for them (`--allow` takes them by
name): `builtins.getattr`, `functools.partial`, `operator.attrgetter` and `operator.methodcaller`
reach anything from anywhere; `numpy._core._ufunc_reconstruct` imports whatever it is told to; the
distributions of `scipy.stats` execute source text out of their own state
(`rv_generic._attach_argparser_methods`); `joblib.numpy_pickle_compat` reads further files, with
pickles allowed; `sklearn.callback` opens sockets.
"""

from __future__ import annotations


def _names(module: str, names: str) -> set[str]:
    return {f"{module}.{name}" for name in names.split()}


# Plain values, and the protocol's own way of making objects.
_PYTHON = (
    _names(
        "builtins",
        "bool bytearray bytes complex dict float frozenset int list object range set slice str "
        "tuple",
    )
    | _names("copyreg", "_reconstructor __newobj__ __newobj_ex__")
    | _names("_codecs", "encode")  # bytes in protocols 0 to 2
    | _names("collections", "Counter OrderedDict defaultdict deque")
    | _names("datetime", "date datetime time timedelta timezone")
    | _names("array", "array _array_reconstructor")
    | _names("pathlib", "PosixPath PurePosixPath PureWindowsPath WindowsPath")
    | {"decimal.Decimal", "fractions.Fraction", "uuid.UUID", "re._compile", "types.SimpleNamespace"}
)

# Arrays, scalars and random states; and functions of numbers alone, for FunctionTransformer.
_NUMPY_TYPES = """
bool bool_ bytes_ complex64 complex128 complexfloating datetime64 dtype float16 float32 float64
floating generic inexact int8 int16 int32 int64 intc integer intp longdouble longlong matrix ndarray
number object_ record signedinteger str_ timedelta64 uint8 uint16 uint32 uint64 uintc uintp
ulonglong unsignedinteger void
"""
_NUMPY_FUNCTIONS = """
abs absolute add arccos arccosh arcsin arcsinh arctan arctan2 arctanh cbrt ceil clip copysign cos
cosh deg2rad degrees divide equal exp exp2 expm1 fabs floor floor_divide fmax fmin fmod greater
greater_equal hypot isfinite isinf isnan less less_equal log log10 log1p log2 logaddexp logical_and
logical_not logical_or max maximum mean median min minimum mod multiply nan_to_num nanmax nanmean
nanmedian nanmin nanstd nansum negative not_equal positive power rad2deg radians ravel reciprocal
remainder rint round sign sin sinh sqrt square std subtract sum tan tanh true_divide trunc var
"""
_NUMPY = (
    _names("numpy", _NUMPY_TYPES)
    | _names("numpy", _NUMPY_FUNCTIONS)
    | _names("numpy._core._multiarray_umath", _NUMPY_FUNCTIONS)
    | _names("numpy._core.multiarray", "_reconstruct scalar")
    | _names("numpy._core.numeric", "_frombuffer")
    | _names("numpy._core._internal", "_convert_to_stringdtype_kwargs")
    | _names("numpy.ma", "MaskedArray")
    | _names("numpy.ma.core", "MaskedArray _mareconstruct")
    | _names("numpy.matrixlib.defmatrix", "matrix")
    | _names("numpy.rec", "recarray")
    | _names("numpy.random._pickle", "__bit_generator_ctor __generator_ctor __randomstate_ctor")
    | _names("numpy.random._mt19937", "MT19937")
    | _names("numpy.random._pcg64", "PCG64 PCG64DXSM")
    | _names("numpy.random._philox", "Philox")
    | _names("numpy.random._sfc64", "SFC64")
    | _names("numpy.random.bit_generator", "SeedSequence __pyx_unpickle_SeedSequence")
    | {"joblib.numpy_pickle.NumpyArrayWrapper"}
)

# Sparse matrices, trees and splines hold numbers only.
_SCIPY = (
    {
        f"scipy.sparse._{kind}.{kind}_{form}"
        for kind in ("bsr", "coo", "csc", "csr", "dia", "dok", "lil")
        for form in ("array", "matrix")
    }
    | _names("scipy.spatial._ckdtree", "cKDTree")
    | _names("scipy.spatial._kdtree", "KDTree")
    | _names("scipy.interpolate._bsplines", "BSpline")
    | _names("scipy.interpolate._cubic", "Akima1DInterpolator CubicSpline PchipInterpolator")
    | _names("scipy.interpolate._interpolate", "PPoly interp1d")
    | {"scipy._lib.array_api_compat.numpy._aliases.asarray"}
    | _names(
        "scipy.special._ufuncs", "boxcox expit inv_boxcox log_ndtr logit ndtr ndtri xlog1py xlogy"
    )
)

# Compiled classes, which have no source to look into, and functions of arrays alone.
_LOSSES = """
AbsoluteError ExponentialLoss HalfBinomialLoss HalfGammaLoss HalfMultinomialLoss HalfPoissonLoss
HalfSquaredError HalfTweedieLoss HalfTweedieLossIdentity HuberLoss PinballLoss
"""
_METRICS = """
Euclidean SEuclidean Manhattan Chebyshev Minkowski Mahalanobis Hamming Canberra BrayCurtis Jaccard
Dice RogersTanimoto RussellRao SokalSneath Haversine
"""
_SCORES = """
accuracy_score balanced_accuracy_score brier_score_loss cohen_kappa_score f1_score fbeta_score
jaccard_score log_loss matthews_corrcoef precision_score recall_score d2_log_loss_score
d2_brier_score
"""
_REGRESSION_SCORES = """
d2_absolute_error_score d2_pinball_score d2_tweedie_score explained_variance_score max_error
mean_absolute_error mean_absolute_percentage_error mean_gamma_deviance mean_pinball_loss
mean_poisson_deviance mean_squared_error mean_squared_log_error median_absolute_error r2_score
root_mean_squared_error root_mean_squared_log_error
"""
_SKLEARN = (
    {f"sklearn._loss._loss.Cy{name}" for name in _LOSSES.split()}
    | {"sklearn._loss._loss.__pyx_unpickle_CyHalfMultinomialLoss"}
    | {
        f"sklearn.metrics._dist_metrics.{name}Distance{bits}"
        for name in _METRICS.split()
        for bits in ("", "32", "64")
    }
    | _names("sklearn.metrics._dist_metrics", "newObj")
    | _names("sklearn.tree._tree", "Tree")
    | _names("sklearn.neighbors._kd_tree", "KDTree KDTree32 KDTree64 newObj")
    | _names("sklearn.neighbors._ball_tree", "BallTree BallTree32 BallTree64 newObj")
    | _names("sklearn.neighbors._quad_tree", "_QuadTree")
    | _names(
        "sklearn.linear_model._sgd_fast",
        "EpsilonInsensitive Hinge Huber Log ModifiedHuber SquaredEpsilonInsensitive SquaredHinge "
        "SquaredLoss",
    )
    | _names(
        "sklearn.cluster._kmeans",
        "_kmeans_single_elkan _kmeans_single_lloyd lloyd_iter_chunked_dense",
    )
    | _names(
        "sklearn.feature_selection._univariate_selection",
        "chi2 f_classif f_regression r_regression",
    )
    | _names("sklearn.feature_selection._mutual_info", "mutual_info_classif mutual_info_regression")
    | _names("sklearn.metrics._classification", _SCORES)
    | _names(
        "sklearn.metrics._ranking", "average_precision_score roc_auc_score top_k_accuracy_score"
    )
    | _names("sklearn.metrics._regression", _REGRESSION_SCORES)
    | _names("sklearn.utils._bunch", "Bunch")
    | _names("sklearn.utils._encode", "_NaNCounter _nandict")
    | _names("sklearn.utils._metadata_requests", "MetadataRequest MethodMetadataRequest")
)

# Boosters parse their own model bytes in compiled code.
_BOOSTERS = (
    {"xgboost.core.Booster", "lightgbm.basic.Booster"}
    | _names(
        "xgboost.sklearn", "XGBClassifier XGBRanker XGBRegressor XGBRFClassifier XGBRFRegressor"
    )
    | _names("lightgbm.sklearn", "LGBMClassifier LGBMModel LGBMRanker LGBMRegressor")
)

# Frames and indexes; pandas 3 names them by their public place, pandas 2 by where they are defined.
_PANDAS_PUBLIC = """
BooleanDtype Categorical CategoricalDtype CategoricalIndex DataFrame DatetimeIndex DatetimeTZDtype
Float32Dtype Float64Dtype Index Int16Dtype Int32Dtype Int64Dtype Int8Dtype Interval IntervalDtype
IntervalIndex MultiIndex NA PeriodDtype PeriodIndex RangeIndex Series StringDtype TimedeltaIndex
UInt16Dtype UInt32Dtype UInt64Dtype UInt8Dtype
"""
_PANDAS_ARRAYS = """
ArrowStringArray BooleanArray DatetimeArray FloatingArray IntegerArray IntervalArray PeriodArray
StringArray TimedeltaArray
"""
_PANDAS = (
    _names("pandas", _PANDAS_PUBLIC)
    | _names("pandas.arrays", _PANDAS_ARRAYS)
    | _names("pandas._libs.arrays", "__pyx_unpickle_NDArrayBacked")
    | _names("pandas._libs.internals", "_unpickle_block")
    | _names("pandas._libs.tslibs.nattype", "_nat_unpickle")
    | _names("pandas._libs.tslibs.timedeltas", "_timedelta_unpickle")
    | _names("pandas._libs.tslibs.timestamps", "_unpickle_timestamp")
    | _names("pandas.core.frame", "DataFrame")
    | _names("pandas.core.series", "Series")
    | _names(
        "pandas.core.dtypes.dtypes", "CategoricalDtype DatetimeTZDtype IntervalDtype PeriodDtype"
    )
    | _names("pandas.core.arrays.categorical", "Categorical")
    | _names("pandas.core.arrays.datetimes", "DatetimeArray")
    | _names("pandas.core.arrays.timedeltas", "TimedeltaArray")
    | _names("pandas.core.arrays.integer", "Int64Dtype IntegerArray")
    | _names("pandas.core.arrays.floating", "Float64Dtype FloatingArray")
    | _names("pandas.core.arrays.boolean", "BooleanArray BooleanDtype")
    | _names("pandas.core.arrays.string_", "StringArray StringDtype")
    | _names("pandas.core.internals.managers", "BlockManager SingleBlockManager")
    | _names("pandas.core.indexes.base", "Index _new_Index")
    | _names("pandas.core.indexes.range", "RangeIndex")
    | _names("pandas.core.indexes.multi", "MultiIndex")
    | _names("pandas.core.indexes.category", "CategoricalIndex")
    | _names("pandas.core.indexes.datetimes", "DatetimeIndex _new_DatetimeIndex")
    | _names("pandas.core.indexes.timedeltas", "TimedeltaIndex _new_TimedeltaIndex")
    | _names("pandas.core.indexes.interval", "IntervalIndex _new_IntervalIndex")
    | _names("pandas.core.indexes.period", "PeriodIndex _new_PeriodIndex")
    | _names("pyarrow.lib", "_restore_array py_buffer type_for_alias")  # columns of strings
)

ALLOWED = frozenset(_PYTHON | _NUMPY | _SCIPY | _SKLEARN | _BOOSTERS | _PANDAS)
