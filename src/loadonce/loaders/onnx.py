"""ONNX networks as onnxruntime sessions: one thread, all optimisations, only locked weights."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from loadonce.artifacts import Source
from loadonce.errors import ArtifactNotLockedError, ConfigurationError
from loadonce.loaders.base import Fork, Loader
from loadonce.loaders.onnxfile import external_locations

if TYPE_CHECKING:
    import onnxruntime as ort

_ERRORS_ONLY = 3
_CPU = ("CPUExecutionProvider",)
_KEY = rb"location"  # of each external file's name; protobuf writes a string's bytes together


def read(
    source: Source,
    *,
    threads: int = 1,
    inter_op_threads: int = 1,
    providers: Sequence[str] = _CPU,
    log_severity: int = _ERRORS_ONLY,
    arena: bool = True,
) -> ort.InferenceSession:
    """An `onnxruntime.InferenceSession`, with all graph optimisations.

    External data comes from the artifact's own (locked) files, so declare a directory, or several
    files, of which one ends in .onnx. Nothing is looked for on disk.

    Args:
        threads: for one operator. One is the default: requests run beside each other already, and a
            session with more cannot be shared by forked workers (it hangs at exit there).
        inter_op_threads: for independent operators.
        providers: execution providers, best first; all must be available in this installation.
        log_severity: 0 (everything) to 4 (fatal only), as onnxruntime counts.
        arena: keep freed memory for later tensors. Small tensors come quicker without.
    """
    _keep_telemetry_off()
    import onnxruntime as ort

    _require_providers(providers, ort.get_available_providers())
    model = _model(source)
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = inter_op_threads
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = log_severity
    options.enable_cpu_mem_arena = arena
    external = _external_data(model, source.files)
    if external:
        options.add_external_initializers_from_files_in_memory(
            list(external), list(external.values()), [len(data) for data in external.values()]
        )
    return ort.InferenceSession(bytes(model.data), options, providers=list(providers))


def _keep_telemetry_off() -> None:
    """No reports to the vendor, unless whoever runs the process asked for them.

    onnxruntime 1.31 writes a device id below the home directory and queues reports (the program's
    path, sessions) for upload; it looks at this variable once, when it is imported.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def _require_providers(wanted: Sequence[str], available: Sequence[str]) -> None:
    if isinstance(wanted, str) or not wanted:
        raise ConfigurationError("providers must be a list of names, best first")
    for name in wanted:
        if name not in available:
            raise ConfigurationError(
                f"the ONNX execution provider '{name}' is not available here; "
                f"this onnxruntime has: {', '.join(available)}"
            )


def _model(source: Source) -> Source:
    """The file that holds the graph."""
    if not source.files:
        return source
    models = [file for file in source.files.values() if file.suffix == ".onnx"]
    if len(models) != 1:
        raise ConfigurationError(
            f"'{source.name}' must have exactly one file that ends in .onnx, not {len(models)}"
        )
    return models[0]


def _external_data(model: Source, files: Mapping[str, Source]) -> dict[str, memoryview]:
    """The verified bytes of each external file the model names, by that name."""
    if not re.search(_KEY, model.data):
        return {}  # to walk a large model in Python takes longer than onnxruntime takes to load it
    directory = PurePosixPath(model.name).parent
    by_path = {file.name: file for file in files.values()}
    found: dict[str, memoryview] = {}
    for location in sorted(external_locations(model.data)):
        file = by_path.get(str(directory / location), files.get(location))
        if file is None:
            raise ArtifactNotLockedError(
                "",
                "the model names external data that is not among this artifact's locked files",
                path=model.name,
                found=location[:100],
                hint="declare the directory, or the model and its data as several files, and run "
                "`loadonce lock DIR`",
            )
        found[location] = file.data
    return found


def _crosses_fork(options: Mapping[str, object]) -> Fork:
    """A session with threads hangs where it was inherited, one on a GPU does not work at all."""
    threads = (options.get("threads", 1), options.get("inter_op_threads", 1))
    providers = options.get("providers", _CPU)
    is_plain = threads == (1, 1) and list(providers) == list(_CPU)  # type: ignore[call-overload]
    return "inherit" if is_plain else "after"


LOADER = Loader(
    name="onnx",
    read=read,
    suffixes=(".onnx",),
    extra="onnx",
    modules=("onnxruntime", "numpy"),
    libraries=("onnxruntime",),
    takes_files=True,
    holds_gil=False,
    fork=_crosses_fork,
    estimate=lambda source: 2 * source.size,  # the parsed model, and initializers packed for speed
)
