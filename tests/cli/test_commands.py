"""The command line as its users meet it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from loadonce import __version__, lock_directory
from loadonce.cli.parameters import size_of
from loadonce.cli.serve import _count

Run = Callable[..., subprocess.CompletedProcess[str]]
Write = Callable[[str], Path]

APP = """
class Models(Registry):
    a: Model[str] = artifact("a.bin", loader=text, kind="greeting")
    b: Model[str] = artifact("b.bin", loader=text, required=False)
    later: Model[str] = artifact("a.bin", loader=text, when="first_use")
    behind: Model[str] = artifact("a.bin", loader=text, when="background")

models = Models(root="models")
app = FastAPI(lifespan=models.lifespan)
install(app, models)

@app.get("/a")
async def a(model: Annotated[Handle[str], Depends(models.a)]) -> str:
    return model.value
"""


@pytest.fixture
def models(write: Write) -> Path:
    """An app with four models of which one is missing."""
    directory = write(APP)
    (directory / "a.bin").write_bytes(b"hello")
    lock_directory(directory)
    return directory


def test_the_version_is_printed(run: Run) -> None:
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"loadonce {__version__}\n")


def test_the_module_is_the_command() -> None:
    command = [sys.executable, "-m", "loadonce", "--version"]
    assert subprocess.check_output(command, text=True) == f"loadonce {__version__}\n"


@pytest.mark.parametrize("command", ["serve", "dev", "check", "inspect", "lock", "convert"])
def test_every_command_explains_itself_with_an_example(run: Run, command: str) -> None:
    done = run(command, "--help")
    assert done.returncode == 0
    assert f"loadonce {command} " in done.stdout.replace("│", "")
    assert "Example" in done.stdout


def test_no_command_at_all_shows_what_there_is(run: Run) -> None:
    done = run()
    assert done.returncode == 2
    assert "serve" in done.stdout + done.stderr


@pytest.mark.parametrize("arguments", [["--help"], ["serve", "--help"], ["--version"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom loadonce.cli import main\n"
        f"sys.argv = ['loadonce', *{arguments!r}]\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "heavy = {'fastapi', 'starlette', 'uvicorn', 'numpy', 'sklearn', 'joblib'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20)
    assert done.stderr.splitlines()[-1] == "[]"


@pytest.mark.parametrize("command", ["check", "inspect"])
@pytest.mark.parametrize("is_debug", [False, True])
def test_errors_are_one_line_and_tracebacks_only_on_request(
    run: Run, command: str, is_debug: bool
) -> None:
    done = run(*(["--debug"] if is_debug else []), command, "nowhere:app")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: there is no module 'nowhere'")
    assert ("Traceback" in done.stderr) is is_debug


@pytest.mark.parametrize("mode", ["rwx", "-1"])  # which had become 777
def test_permissions_that_are_no_octal_number_are_refused(run: Run, mode: str) -> None:
    done = run("serve", "main:app", "--uds", "x.sock", f"--uds-mode={mode}")
    assert done.returncode == 2
    assert "no octal number" in done.stderr


# -- inspect -------------------------------------------------------------------------------------


def test_inspect_shows_every_model(run: Run, models: Path) -> None:
    done = run("inspect", "main:app")
    assert done.returncode == 0
    rows = {line.split()[0]: line for line in done.stdout.splitlines() if line}
    assert "greeting" in rows["a"]
    assert "ready" in rows["a"]
    assert "2cf24dba5fb0" in rows["a"]
    assert "5 B" in rows["a"]
    assert "failed" in rows["b"]
    assert "pending" in rows["later"]
    assert "ready" in rows["behind"]
    assert "model 'b' (b.bin): nothing exists at this path" in done.stdout
    assert done.stderr == ""


def test_inspect_tells_programs_the_same(run: Run, models: Path) -> None:
    done = run("inspect", "main:app", "--json")
    rows = {row["name"]: row for row in json.loads(done.stdout)}
    assert rows["a"]["state"] == "ready"
    assert rows["a"]["bytes_on_disk"] == 5
    assert rows["a"]["load_seconds"] >= 0
    assert rows["b"]["error"].startswith("model 'b' (b.bin): nothing exists")


def test_inspect_fails_where_the_start_would(run: Run, models: Path) -> None:
    (models / "a.bin").write_bytes(b"altered")
    done = run("inspect", "main:app")
    assert done.returncode == 1
    assert "failed" in done.stdout
    assert "error: start-up stopped: 1 model failed" in done.stderr
    assert "failed too, but would not have stopped it:\nmodel 'b' (b.bin)" in done.stderr
    assert "Traceback" not in done.stderr


# -- check ---------------------------------------------------------------------------------------


def test_check_says_what_is_in_order_and_what_is_not(run: Run, models: Path) -> None:
    done = run("check", "main:app")
    assert done.returncode == 0
    assert "✓ Models.a  version 2cf24dba5fb0, 5 B as locked" in done.stdout
    assert "i Models.b  b.bin: nothing exists at this path" in done.stdout
    assert "✓ GET /a  fits a" in done.stdout
    assert done.stdout.endswith("1 note, 0 warnings, 0 errors\n")


def test_check_can_be_strict(run: Run, models: Path) -> None:
    """An optional model may be absent by design; one that is there must be in order."""
    done = run("check", "main:app", "--strict", "--json")
    assert done.returncode == 0
    report = json.loads(done.stdout)
    assert (report["target"], report["ok"]) == ("main:app", True)
    assert {
        "level": "note",
        "subject": "Models.b",
        "text": "b.bin: nothing exists at this path",
        "hint": "put the file there, or correct the declared path or the registry's root",
    } in report["findings"]
    (models / "b.bin").write_bytes(b"never locked")
    assert run("check", "main:app").returncode == 0
    done = run("check", "main:app", "--strict")
    assert done.returncode == 1
    assert "✗ Models.b  b.bin: not in models.lock" in done.stdout


def test_check_loads_nothing(run: Run, write: Write) -> None:
    directory = write(APP.replace("loader=text", "loader=lambda source: 1 / 0"))
    for name in ("a.bin", "b.bin"):
        (directory / name).write_bytes(b"hello")
    lock_directory(directory)
    assert run("check", "main:app", "--strict").returncode == 0


# -- lock ----------------------------------------------------------------------------------------


def test_lock_writes_what_it_shows(run: Run, tmp_path: Path) -> None:
    models = tmp_path / "models"
    models.mkdir()
    (models / "a.json").write_text("[1]")
    (models / "[b].json").write_text("[2]")

    done = run("lock", "models", "--check")
    assert done.returncode == 1
    assert "nothing was written" in done.stdout
    assert not (models / "models.lock").exists()

    done = run("lock", "models")
    assert done.returncode == 0
    assert "+ [b].json  json, 3 B" in done.stdout
    assert "2 files; wrote models/models.lock" in done.stdout

    assert run("lock", "models", "--check").returncode == 0

    (models / "a.json").write_text("[3]")
    (models / "[b].json").unlink()
    done = run("lock", "models")
    assert "~ a.json  json, 3 B" in done.stdout
    assert "(was " in done.stdout
    assert "- [b].json" in done.stdout
    assert "1 file; wrote" in done.stdout


def test_lock_shows_what_pickles_may_use(run: Run, tmp_path: Path) -> None:
    models = tmp_path / "models"
    models.mkdir()
    code = "import joblib, collections; joblib.dump(collections.OrderedDict(), 'models/a.joblib')"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, timeout=20)
    done = run("lock", "models")
    assert "may use collections.OrderedDict" in done.stdout
    code = "import joblib, argparse; joblib.dump(argparse.Namespace(), 'models/a.joblib')"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, timeout=20)
    refused = run("lock", "models")
    assert refused.returncode == 1
    assert "argparse.Namespace" in refused.stderr
    done = run("lock", "models", "--allow", "argparse.Namespace")
    assert done.returncode == 0
    assert "may use argparse.Namespace" in done.stdout


def test_lock_names_every_file_that_it_refuses(run: Run, tmp_path: Path) -> None:
    for name in ("x.pkl", "y.pkl"):
        (tmp_path / name).write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    refused = run("lock", ".")
    assert refused.returncode == 1
    first, *others = refused.stderr.splitlines()
    assert first == "error: 2 files may not be locked, so nothing was written"
    assert others[0].startswith("x.pkl: ")
    assert any(line.startswith("y.pkl: ") for line in others)
    (tmp_path / "y.pkl").unlink()
    assert run("lock", ".").stderr.startswith("error: x.pkl: ")


def test_lock_takes_formats_and_golden_examples(run: Run, tmp_path: Path) -> None:
    models = tmp_path / "models"
    models.mkdir()
    (models / "data").write_text("[1]")
    example = {"data": {"method": "index", "input": 1, "output": 0}}
    (tmp_path / "golden.json").write_text(json.dumps(example))
    done = run("lock", "models", "--format", "data=json", "--golden", "golden.json")
    assert done.returncode == 0
    assert "+ data  json" in done.stdout
    assert "golden" in (models / "models.lock").read_text()

    (tmp_path / "golden.json").write_text(json.dumps({"nowhere": example["data"]}))
    done = run("lock", "models", "--golden", "golden.json")
    assert done.returncode == 1
    assert "nowhere" in done.stderr


@pytest.mark.parametrize("content", ["no json", "[1]", '{"data": {"wrong": 1}}', '{"data": 1}'])
def test_golden_examples_that_are_none_are_refused(run: Run, tmp_path: Path, content: str) -> None:
    (tmp_path / "golden.json").write_text(content)
    done = run("lock", ".", "--golden", "golden.json")
    assert done.returncode == 2
    assert "golden.json" in done.stderr


def test_a_directory_without_artifacts_is_told(run: Run, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    assert "0 files; there is none to lock in models" in run("lock", "models").stdout


def test_a_format_without_a_path_is_refused(run: Run) -> None:
    done = run("lock", ".", "--format", "json")
    assert done.returncode == 2
    assert "PATH=FORMAT" in done.stderr


@pytest.mark.parametrize(("given", "expected"), [("auto", 3), ("2", 2)])
def test_workers_are_a_number_or_as_many_as_there_are_cpus(
    monkeypatch: pytest.MonkeyPatch, given: str, expected: int
) -> None:
    monkeypatch.setattr("loadonce.observe.cpus.available_cpus", lambda: 3)
    assert _count(given) == expected


def test_a_size_is_given_with_its_unit(run: Run) -> None:
    assert [size_of(each, "--x") for each in ("0", "1.5GiB", "20MB")] == [0, 3 << 29, 20_000_000]
    done = run("serve", "main:app", "--max-worker-memory", "much")
    assert done.returncode == 2
    assert "no size such as 512MiB" in done.stdout + done.stderr


def test_inspect_needs_an_app_or_a_server(run: Run) -> None:
    done = run("inspect")
    assert done.returncode == 2
    assert "name an app, or say --live" in done.stderr
    done = run("inspect", "--live", "--pid", "1")
    assert done.returncode == 1
    assert "no `loadonce serve` that has a process 1 that you may look at runs here" in done.stderr
