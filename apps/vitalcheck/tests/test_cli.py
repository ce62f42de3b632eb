"""`vitalcheck train`: refuses early with exit code 2, trains what is asked for."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from vitalcheck import cli

TABLE = "hospital/sparcs_2016_random_sample.csv"


def run(*words: str, command: str = "train") -> tuple[int, str]:
    result = CliRunner().invoke(cli.app, [command, *words])
    return result.exit_code, result.output


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """Nothing is written."""
    code, said = run("--data", str(tmp_path), "--out", str(tmp_path / "out"), "--only", "diabetes")
    assert code == cli.REFUSED
    assert "pima_diabetes.csv" in said.replace("\n", "")
    assert not (tmp_path / "out").exists()


def test_an_unknown_name_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    """Before anything is read."""
    for command, words in (("train", ("--data", str(tmp_path))), ("convert", ())):
        code, said = run(*words, "--only", "diabetis", command=command)
        assert code == cli.REFUSED
        assert "no such artifact: diabetis" in said
        assert "diabetes, heart" in said


def test_nothing_is_converted_where_nothing_was_trained(tmp_path: Path) -> None:
    code, said = run("--out", str(tmp_path), "--only", "diabetes", command="convert")
    assert code == cli.REFUSED
    assert "diabetes.json" in said.replace("\n", "")


@pytest.mark.timeout(60)
def test_only_what_is_asked_for_is_trained_and_converted(tmp_path: Path) -> None:
    """One pipeline, its card and the lock; the last lines say what was made."""
    (tmp_path / "diabetes").mkdir()
    rows = "\n".join(
        f"1,{90 + 5 * (n % 20)},70,20,{n % 3 * 90},30,0.4,{25 + n % 40},{int(n % 20 > 11)}"
        for n in range(120)
    )
    header = (
        "Pregnancies,Glucose,BloodPressure,SkinThickness,Insulin,BMI,DiabetesPedigreeFunction,"
        "Age,Outcome"
    )
    (tmp_path / "diabetes" / "pima_diabetes.csv").write_text(f"{header}\n{rows}\n")
    out = tmp_path / "out"
    code, said = run(
        "--data", str(tmp_path), "--out", str(out), "--only", "diabetes", "--quick", "--seed", "2"
    )
    assert code == 0, said
    assert "diabetes: auc 0.99" in said
    names = {path.name for path in out.rglob("*") if path.is_file()}
    assert names == {
        "diabetes.joblib",
        "diabetes.predictor.onnx",
        "diabetes.json",
        "diabetes.md",
        "models.lock",
    }


@pytest.mark.skipif(
    f'"numpy" = "{np.__version__}"' not in (cli.ARTIFACTS / "models.lock").read_text(),
    reason="the pipelines were trained with another numpy, as there is none of all Pythons",
)
def test_what_was_trained_can_be_converted_once_more(tmp_path: Path) -> None:
    """The tables stay as they are; of a pipeline it says how it was compared."""
    out = shutil.copytree(cli.ARTIFACTS, tmp_path / "out")
    (out / "breast_cancer.predictor.onnx").unlink()
    words = ("--out", str(out), "--only", "breast_cancer", "--only", "hospital_analytics")
    code, said = run(*words, command="convert")
    assert code == 0, said
    assert said.startswith("breast_cancer: by ONNX Runtime")
    assert "hospital" not in said
    assert (out / "breast_cancer.predictor.onnx").is_file()


def test_the_command_is_installed(capsys: pytest.CaptureFixture[str]) -> None:
    """`vitalcheck` runs main()."""
    with pytest.raises(SystemExit) as caught:
        cli.main(["--help"])
    assert caught.value.code == 0
    assert "train" in capsys.readouterr().out
