"""From pipelines to what is served: converted to ONNX, compared row by row, noted in the card."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import cast

from loadonce import lock_directory
from loadonce.convert import Conversion, convert_file
from vitalcheck.training.artifacts import Facts
from vitalcheck.training.cards import file_facts, write_card


class NotConvertedError(Exception):
    """A pipeline could not be converted, so there is nothing to serve in its place.

    Args:
        refused: what came of each that was refused.
    """

    def __init__(self, refused: Iterable[Conversion]) -> None:
        self.refused = tuple(refused)
        reasons = "\n".join(f"  {each.source}: {each.reason}" for each in self.refused)
        super().__init__(f"not converted:\n{reasons}")


def convert(out: Path, name: str, files: Sequence[str]) -> Facts:
    """Convert these locked pipelines in `out`, all of `name`, and return its card, written anew.

    The converted files have the golden examples of the pipelines in `models.lock`.

    Raises:
        NotConvertedError: one was refused; the card is as it was.
        FileNotFoundError: `name` has no card in `out`.
    """
    card: Facts = json.loads((out / "cards" / f"{name}.json").read_text(encoding="utf-8"))
    made = [convert_file(out, file) for file in files]
    if refused := [each for each in made if not each.is_converted]:
        raise NotConvertedError(refused)
    card["serving"] = _sentence(made)
    card["served"] = [_served(out, each) for each in made]
    write_card(card, out / "cards")
    lock_directory(out)
    return card


def _served(out: Path, made: Conversion) -> Facts:
    assert made.proof is not None
    return {
        **file_facts(out / made.path),
        "format": "predictor",
        "source": made.source,
        "source_sha256": cast("str", file_facts(out / made.source)["sha256"]),
        "rows_compared": made.proof.rows,
        "largest_difference": made.proof.largest_difference,
    }


def _sentence(made: Sequence[Conversion]) -> str:
    proofs = [each.proof for each in made if each.proof is not None]
    rows = sum(proof.rows for proof in proofs)
    largest = max(proof.largest_difference for proof in proofs)
    difference = (
        f"differ from the pipelines' by at most {largest:.1g} (of values above 1: of their size)"
        if largest
        else "equal the pipelines'"
    )
    return (
        f"by ONNX Runtime, from files converted from the pipelines; on {rows} rows their answers "
        f"{difference}"
    )
