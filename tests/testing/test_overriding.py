"""Stubs in place of models, several at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadonce import ConfigurationError, Model, NotRunningError, Registry, artifact
from loadonce.testing import overrides


class Models(Registry):
    heart: Model[str] = artifact("heart.bin")
    lungs: Model[str] = artifact("lungs.bin")


@pytest.fixture
def models(tmp_path: Path) -> Models:
    return Models(tmp_path / "nowhere")


def test_stubs_hold_while_the_block_runs(models: Models) -> None:
    with overrides(models, heart="h", lungs="l"):
        assert models.heart.run(str.upper) == "H"
        with overrides(models, heart="other"):
            assert models.heart.run(str.upper) == "OTHER"
        assert models.lungs.run(str.upper) == "L"
    with pytest.raises(NotRunningError):
        models.heart.run(str.upper)


def test_a_stub_for_a_model_that_does_not_exist_is_refused(models: Models) -> None:
    with pytest.raises(ConfigurationError, match="did you mean 'heart'"), overrides(models, hart=1):
        pass
    with (
        pytest.raises(ConfigurationError, match="it has heart, lungs"),
        overrides(models, heart="h", x=1),
    ):
        pass
    assert not models.heart.slot.is_overridden
