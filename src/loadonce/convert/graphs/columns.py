"""The columns that flow from step to step: which tensor holds each, and where it came from."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from loadonce.convert.graphs.building import Builder


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a tensor.

    Args:
        tensor: the tensor's name.
        index: the column's place in it.
        feature: the feature that it still is, unchanged; None once it was computed.
        fills: texts to be read as others, of a feature: what an imputer puts for the missing,
            which is None.
        origin: the feature whose values it holds, apart from those that an imputer filled in.
        may_lack: whether it can hold NaN.
    """

    tensor: str
    index: int
    feature: int | None = None
    fills: tuple[tuple[str | None, str], ...] = ()
    origin: int | None = None
    may_lack: bool = True

    def filled(self, missing: str | None, by: str) -> Column:
        """`missing` read as `by`, after what is read otherwise already."""
        fills = {text: by if read == missing else read for text, read in self.fills}
        fills.setdefault(missing, by)
        return replace(self, fills=tuple(fills.items()))


Columns = tuple[Column, ...]


@dataclass(slots=True)
class Input:
    """A feature while the graph is built: how it is used decides its type.

    Args:
        name: of the feature.
        type: of the feature, once it is known.
        texts: those that are told apart, and the code of each: how many came before it.
        thresholds: see `Feature`.
    """

    name: str
    type: str | None = None
    texts: dict[str, int] = field(default_factory=dict)
    thresholds: set[float] = field(default_factory=set)


def computed(g: Builder, tensor: str, width: int, may_lack: bool) -> Columns:
    """The columns of a new tensor; `may_lack`: whether NaN can be there."""
    g.widths[tensor] = width
    return tuple(Column(tensor, index, may_lack=may_lack) for index in range(width))


def lacks(columns: Columns) -> bool:
    """Whether NaN can be in any of them."""
    return any(column.may_lack for column in columns)


def gathered(g: Builder, columns: Columns) -> str:
    """One tensor of these columns, with as few nodes as it takes."""
    runs: list[tuple[str, list[int]]] = []
    for column in columns:
        if runs and runs[-1][0] == column.tensor:
            runs[-1][1].append(column.index)
        else:
            runs.append((column.tensor, [column.index]))
    parts = [
        tensor if indexes == list(range(g.widths[tensor])) else g.take(tensor, indexes)
        for tensor, indexes in runs
    ]
    tensor = g.concat(parts)
    g.widths[tensor] = len(columns)
    return tensor


def texts_of(column: Column, values: dict[str | None, Any]) -> dict[str | None, Any]:
    """What to give for each text that `column` can hold, its fills included; None is missing."""
    found = dict(values)
    for text, read in column.fills:
        found.pop(text, None)
        if read in values:
            found[text] = values[read]
    return found
