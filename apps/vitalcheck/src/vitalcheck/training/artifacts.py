"""Writing what training made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, TypeAlias

import joblib
import pyarrow
import pyarrow.parquet

Facts: TypeAlias = dict[str, object]
"""Part of a model card: JSON values only."""
Report: TypeAlias = Callable[[str, float], None]
"""Called with the stage's name and the finished fraction, which only grows."""


class Trainer(Protocol):
    """What makes one artifact: reads `data`, writes into `out`, returns its card's facts."""

    def __call__(
        self, data: Path, out: Path, *, seed: int, report: Report, quick: bool
    ) -> Facts: ...


def save_pipeline(model: object, path: Path) -> None:
    """Write a fitted pipeline, uncompressed: loading is then fastest, and the files are small."""
    joblib.dump(model, path, compress=0)


def save_table(columns: dict[str, Sequence[object]], schema: pyarrow.Schema, path: Path) -> None:
    """Write a Parquet table; the same columns give the same bytes."""
    table = pyarrow.table(columns, schema=schema)
    pyarrow.parquet.write_table(table, path, compression="zstd")
