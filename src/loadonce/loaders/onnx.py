"""ONNX networks as onnxruntime sessions: one thread, all optimisations, weights only from the lock."""

from __future__ import annotations

from collections.abc import Sequence

from loadonce.artifacts import Source
from loadonce.errors import ConfigurationError
from loadonce.loaders.base import Loader

_ERRORS_ONLY = 3


def read(
    source: Source,
    *,
    threads: int = 1,
    inter_op_threads: int = 1,
    providers: Sequence[str] = ("CPUExecutionProvider",),
    log_severity: int = _ERRORS_ONLY,
) -> object:
    """An `onnxruntime.InferenceSession`.

    Args:
        threads: for one operator. One is the default: requests run beside each other already, and a
            session with more cannot be shared by forked workers (it hangs at exit there).
        inter_op_threads: for independent operators.
        providers: execution providers, best first; all must be available in this installation.
        log_severity: 0 (everything) to 4 (fatal only), as onnxruntime counts.
    """
    import onnxruntime as ort

    _require_providers(providers, ort.get_available_providers())
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = inter_op_threads
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = log_severity
    return ort.InferenceSession(bytes(source.data), options, providers=list(providers))


def _require_providers(wanted: Sequence[str], available: Sequence[str]) -> None:
    if isinstance(wanted, str) or not wanted:
        raise ConfigurationError("providers must be a list of names, best first")
    for name in wanted:
        if name not in available:
            raise ConfigurationError(
                f"the ONNX execution provider '{name}' is not available here; "
                f"this onnxruntime has: {', '.join(available)}"
            )


LOADER = Loader(
    name="onnx",
    read=read,
    suffixes=(".onnx",),
    extra="onnx",
    modules=("onnxruntime", "numpy"),
    libraries=("onnxruntime",),
    holds_gil=False,
    estimate=lambda source: 2 * source.size,
)
