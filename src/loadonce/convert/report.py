"""What a conversion is asked for, and what came of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from loadonce.errors import ConfigurationError

SUFFIX = ".predictor.onnx"
_SHOWN = 10
_LEAST_BYTES = 256 * 2**20
_BUILDER = re.compile(r"\w+(\.\w+)*:\w+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to convert, and how hard to look.

    Args:
        feature_names: names of the features, in the order of training, for a model that was trained
            without. The converted model is then given rows by name.
        text: those of the features that hold text, where the model itself does not tell.
        rows: a file of rows to compare, besides the sampled ones: .parquet, .csv or .json.
        tolerance: the largest difference of a probability or a value that still counts as none;
            relative to max(1, |value|) for values.
        seed: of the sampled rows.
        timeout: seconds that one file may take.
        memory_bytes: the most that its process may hold.
        unlocked: also convert files that no models.lock vouches for, if they use only what
            `loadonce lock` would accept.
        allow: with `unlocked`, further globals that pickles may use, as "module.Name".
        allow_version_mismatch: convert files made by another major or minor version of a library.
        builder: what builds the graph, as "module:function": see the reference.
        app_dir: holds modules that models name; looked into after all others, and only by the
            process that was shut off.
    """

    feature_names: tuple[str, ...] | None = None
    text: tuple[str, ...] = ()
    rows: Path | None = None
    tolerance: float = 2e-6
    seed: int = 0
    timeout: float = 600.0
    memory_bytes: int = 8 * 2**30
    unlocked: bool = False
    allow: tuple[str, ...] = ()
    allow_version_mismatch: bool = False
    builder: str = "loadonce.convert.graphs:build"
    app_dir: Path | None = None

    def __post_init__(self) -> None:
        if self.feature_names is not None and (
            not all(self.feature_names) or len(set(self.feature_names)) != len(self.feature_names)
        ):
            raise ConfigurationError("feature_names must be different names, in training's order")
        for name in ("tolerance", "timeout", "memory_bytes"):
            if getattr(self, name) <= 0:
                raise ConfigurationError(f"{name} must be more than 0")
        if self.memory_bytes < _LEAST_BYTES:
            raise ConfigurationError(
                "memory_bytes (--memory-limit) must be at least 256 MiB: its process imports NumPy "
                "and ONNX Runtime before it looks at a model"
            )
        if not _BUILDER.fullmatch(self.builder):
            raise ConfigurationError(
                f"builder (--builder) must be 'module:function', not '{self.builder}'"
            )


@dataclass(frozen=True, slots=True)
class Difference:
    """One row for which the original and the graph answer otherwise.

    Args:
        row: its index; among the stored rows, or among the sampled ones.
        is_stored: which of the two.
        feature: the feature whose value was being probed; "" if none in particular.
        what: "label", "probability" or "value".
        amount: by how much; 1 for a label.
    """

    row: int
    is_stored: bool
    feature: str
    what: str
    amount: float

    def __str__(self) -> str:
        kind = "stored" if self.is_stored else "sampled"
        probing = f", probing '{self.feature}'" if self.feature else ""
        amount = "" if self.what == "label" else f" by {self.amount:.3g}"
        return f"{kind} row {self.row}{probing}: {self.what}{amount}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """How the graph was compared with the original.

    Args:
        rows: that were compared; `stored` of them were given.
        stored: see `rows`.
        left_out: rows that the original itself refuses.
        left_out_but_answered: those of them to which the graph gives a number, not NaN.
        ties: rows whose label differs only because the original's best two probabilities are
            equal but for rounding.
        thresholds: different thresholds in all the trees.
        thresholds_compared: those that rows reached, on both sides.
        one_by_one: rows that were compared once more, each by itself.
        largest_difference: of a probability, or of a value relative to max(1, |value|).
        tolerance: see `Options`.
        differing: how many rows differ.
        differences: the first of them.
    """

    rows: int
    stored: int = 0
    left_out: int = 0
    left_out_but_answered: int = 0
    ties: int = 0
    thresholds: int = 0
    thresholds_compared: int = 0
    one_by_one: int = 0
    largest_difference: float = 0.0
    tolerance: float = 2e-6
    differing: int = 0
    differences: tuple[Difference, ...] = ()

    @property
    def is_equal(self) -> bool:
        return self.differing == 0 and self.rows > 0

    def __str__(self) -> str:
        return (
            f"{self.rows} rows, {self.thresholds_compared}/{self.thresholds} thresholds, "
            f"largest difference {self.largest_difference:.1e}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """What came of one file: converted and proved equal, or refused and left as it is.

    Args:
        source: the file, relative to the root.
        reason: why it was refused; "" if it was converted.
        path: the converted file, relative to the root; "" if it was refused.
        sha256: of the converted file.
        bytes_before: size of the source.
        bytes_after: size of the converted file.
        proof: how it was compared, if it came to that.
        isolation: what kept it from the network.
        is_locked: whether models.lock has the converted file now.
    """

    source: str
    reason: str = ""
    path: str = ""
    sha256: str = ""
    bytes_before: int = 0
    bytes_after: int = 0
    proof: Proof | None = None
    isolation: tuple[str, ...] = ()
    is_locked: bool = False

    @property
    def is_converted(self) -> bool:
        return not self.reason

    def __repr__(self) -> str:
        if self.reason:
            return f"<Conversion of {self.source}: refused, {self.reason}>"
        return f"<Conversion {self.source} -> {self.path}: {self.proof}>"


def differences_told(differences: Sequence[Difference], count: int) -> str:
    """Which rows differ, for people. Never a value of a row."""
    shown = "; ".join(map(str, differences[:_SHOWN]))
    more = f"; and {count - _SHOWN} more" if count > _SHOWN else ""
    return (
        f"{count} row{'s' if count != 1 else ''} differ{'' if count != 1 else 's'}: {shown}{more}"
    )
