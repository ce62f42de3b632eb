"""The process in which one file is unpickled, converted and compared: `running` starts it.

Everything a hostile file could do, it does here: without network, in an empty directory, with an
environment that tells nothing. Only JSON and the graph's bytes leave it.
"""

from __future__ import annotations

import importlib
import json
import math
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict
from io import BufferedReader
from typing import IO, Any, cast

from loadonce.convert.sandbox import isolate, set_limits
from loadonce.observe.memory import format_bytes
from loadonce.observe.shortage import is_out_of_memory

_MAX_FILE_BYTES = 2**31
_NO_ISOLATION = (
    "nothing here keeps its process from the network: neither a network namespace nor a "
    "system-call filter works"
)


class RefusedError(Exception):
    """The file is not converted; the message says why."""


def main() -> None:
    """Answer the request on standard input."""
    given, answers = cast("BufferedReader", sys.stdin.buffer), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print is not for the parent
    request: dict[str, Any] = json.loads(given.readline())
    methods = request["methods"]
    set_limits(request["memory_bytes"], math.ceil(request["timeout"]), _MAX_FILE_BYTES)
    fields: dict[str, object] = {"isolation": isolate(methods or ())}
    model = b""
    try:
        if methods is not None and not fields["isolation"]:
            raise RefusedError(_NO_ISOLATION)
        found, model = _convert(request, given, answers)
        fields.update(found)
    except RefusedError as exc:
        fields["reason"] = str(exc)
    except MemoryError:
        limit = format_bytes(request["memory_bytes"])
        fields["reason"] = f"its process ran out of memory: give more than {limit} (--memory-limit)"
    _tell(answers, {"answer": fields, "bytes": len(model)})
    answers.write(model)
    answers.flush()


def _convert(
    request: Mapping[str, Any], given: BufferedReader, answers: IO[bytes]
) -> tuple[dict[str, object], bytes]:
    """What was proved, and the graph's bytes (none if it is refused)."""
    from loadonce.convert.candidates import NoRowAcceptedError
    from loadonce.convert.model import Unconvertible
    from loadonce.convert.proving import prove
    from loadonce.convert.stamping import stamp
    from loadonce.convert.stored import StoredRowsError

    if app_dir := request.get("app_dir"):  # last: nothing in it takes an installed module's place
        sys.path.append(app_dir)
    _tell(answers, {"stage": "loading"})
    estimator = _load(request, given)
    doing = "building"
    _tell(answers, {"stage": doing})
    build = _function(request["builder"])
    try:
        graph = build(estimator, request["feature_names"], tuple(request["text"]))
        doing = "comparing"
        _tell(answers, {"stage": doing})
        proof, refuses = prove(estimator, graph, request)
    except (Unconvertible, StoredRowsError, NoRowAcceptedError) as exc:
        raise RefusedError(str(exc)) from exc
    except Exception as exc:  # its text may quote a row
        if is_out_of_memory(exc):
            raise MemoryError from exc
        raise RefusedError(f"{doing} failed ({type(exc).__name__})") from exc
    content = stamp(graph, request["source"], proof, refuses) if proof.is_equal else b""
    return {"proof": asdict(proof)}, content


def _load(request: Mapping[str, Any], given: BufferedReader) -> object:
    """The object, by the loader of its format: a pickle passes the gate here as anywhere."""
    from loadonce.artifacts import LockEntry, Source
    from loadonce.artifacts.buffer import SealedBuffer
    from loadonce.errors import LoadOnceError
    from loadonce.loaders import find

    entry = LockEntry(**request["entry"])
    source = Source(entry, SealedBuffer.fill(entry.size, given.readinto))
    try:
        loader = find(entry.format, entry.path)
        if entry.format != "xgboost":
            return loader.load(source)
        return loader.load(source, as_=_kind_of(loader.load(source)))
    except LoadOnceError as exc:
        if exc.__cause__ is not None and is_out_of_memory(exc.__cause__):
            raise MemoryError from exc
        raise RefusedError(str(exc).partition(": ")[2]) from exc
    finally:
        source.close()


def _kind_of(booster: Any) -> str:
    """Which of XGBoost's estimators answers as a file of its own format was trained to."""
    objective = str(json.loads(booster.save_config())["learner"]["objective"]["name"])
    return "classifier" if objective.startswith(("binary:", "multi:")) else "regressor"


def _function(name: str) -> Any:
    module, _, function = name.partition(":")
    try:
        return getattr(importlib.import_module(module), function)
    except Exception as exc:
        if is_out_of_memory(exc):
            raise MemoryError from exc
        raise RefusedError(
            f"its builder '{name}' cannot be imported ({exc}): give --builder MODULE:FUNCTION, of "
            "a module that is installed or lies in --app-dir"
        ) from exc


def _tell(answers: IO[bytes], message: Mapping[str, object]) -> None:
    answers.write(json.dumps(message).encode() + b"\n")
    answers.flush()
