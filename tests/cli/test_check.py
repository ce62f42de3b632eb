"""What `loadonce check` finds out about an app, finding by finding."""

import datetime
import importlib
import pickle
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any, Protocol, TypeVar

import pytest
from fastapi import APIRouter, Depends, FastAPI, WebSocket
from starlette.applications import Starlette
from starlette.routing import Mount

from loadonce import (
    Classifier,
    Handle,
    Model,
    Registry,
    Regressor,
    Source,
    artifact,
    lock_directory,
    resource,
)
from loadonce.artifacts import LockFile
from loadonce.cli.check import check_app
from loadonce.cli.check_types import fits, name_of
from loadonce.cli.findings import Finding, has_errors
from loadonce.errors import StartupError, WrongTypeError
from loadonce.http import DirectRoute, install

if TYPE_CHECKING:
    from decimal import Decimal

T = TypeVar("T")


def text(source: Source) -> str:
    return bytes(source.data).decode()


class Models(Registry):
    clf: Model[Classifier] = artifact("clf.bin", loader=text)  # type: ignore[arg-type]
    reg: Model[Regressor] = artifact("clf.bin", loader=text)  # type: ignore[arg-type]
    word: Model[str] = artifact("clf.bin", loader=text)
    parts: Model[Mapping[str, str]] = artifact({"x": "clf.bin", "y": "y.json"}, required=False)
    fragile: Model[str] = artifact("clf.bin", loader=text, thread_safe=False)


@pytest.fixture
def models(tmp_path: Path) -> Models:
    """A registry whose artifacts are in order."""
    (tmp_path / "clf.bin").write_bytes(b"clf")
    (tmp_path / "y.json").write_text("1")
    lock_directory(tmp_path, formats={"clf.bin": "json"})
    return Models(root=tmp_path)


@pytest.fixture
def app(models: Models) -> FastAPI:
    """An app that is wired as it should be."""
    made = FastAPI(lifespan=models.lifespan)
    install(made, models)
    return made


def problems(app: object, *registries: Registry) -> list[Finding]:
    """What is not in order."""
    return [one for one in check_app(app, registries) if one.level != "ok"]


def only(app: object, *registries: Registry) -> Finding:
    """The one thing that is not in order, the missing format of parts apart."""
    found = [one for one in problems(app, *registries) if "parts" not in one.subject]
    assert len(found) == 1, found
    return found[0]


# -- handlers --------------------------------------------------------------------------------------


def test_handlers_that_fit_are_named_with_their_models(app: FastAPI, models: Models) -> None:
    def inner(model: Annotated[Handle[Classifier], Depends(models.clf)]) -> None: ...

    class Needs:
        def __call__(self, word: str = Depends(models.word.raw)) -> None: ...

    router = APIRouter(prefix="/in")
    need = Depends(models.word)

    @app.get("/a", dependencies=[Depends(models.reg)])
    def a(  # type: ignore[no-untyped-def]
        clf: Annotated[Handle[Classifier], Depends(models.clf)],
        reg: Annotated[Handle[Regressor], Depends(models.clf)],  # a classifier predicts too
        bare: Annotated[Handle, Depends(models.clf)],  # type: ignore[type-arg]
        anything: Annotated[Any, Depends(models.clf)],
        word: Annotated[str, Depends(models.word.raw)],
        untyped=need,
    ) -> None: ...

    @router.get("/b", dependencies=[Depends(Needs())])
    async def b(needed: Annotated[None, Depends(inner)]) -> None: ...

    @router.websocket("/ws")
    async def ws(socket: WebSocket, model: Annotated[Handle[str], need]) -> None: ...

    app.include_router(router, prefix="/out")
    found = [
        one for one in check_app(app, [models]) if one.subject not in ("Models", "Models.parts")
    ]
    assert [one for one in found if one.level != "ok"] == []
    routes = {one.subject: one.text for one in found if "/" in one.subject}
    assert routes == {
        "GET /a": "fits clf, reg, word",
        "GET /out/in/b": "fits clf, word",
        "WebSocket /out/in/ws": "fits word",
    }


def test_a_handle_of_another_type_is_an_error(app: FastAPI, models: Models) -> None:
    @app.get("/a")
    def a(clf: Annotated[Handle[Classifier], Depends(models.reg)]) -> None: ...

    found = only(app, models)
    assert (found.level, found.subject) == ("error", "GET /a")
    assert found.text == "'clf' asks for Classifier, but model 'reg' is declared as Regressor"


def test_a_raw_object_of_another_type_is_an_error(app: FastAPI, models: Models) -> None:
    @app.get("/a")
    def a(word: Annotated[int, Depends(models.word.raw)]) -> None: ...

    assert only(app, models).text.startswith("'word' asks for int, but model 'word'")


def test_a_handle_where_the_object_is_meant_is_an_error(app: FastAPI, models: Models) -> None:
    @app.get("/a")
    def a(word: Annotated[str, Depends(models.word)]) -> None: ...

    found = only(app, models)
    assert found.text == "'word' is declared as str but is given a handle"
    assert found.hint == "write Depends(models.word.raw), or change the annotation"


def test_an_object_where_a_handle_is_meant_is_an_error(app: FastAPI, models: Models) -> None:
    @app.get("/a")
    def a(word: Annotated[Handle[str], Depends(models.word.raw)]) -> None: ...

    found = only(app, models)
    assert found.text == "'word' is declared as Handle[str] but is given the object itself"
    assert found.hint.startswith("write Depends(models.word)")


def test_a_model_of_the_class_is_an_error(app: FastAPI, models: Models) -> None:
    @app.get("/a")
    def a(word: Annotated[Handle[str], Depends(Models.word)]) -> None: ...

    found = only(app, models)
    assert found.level == "error"
    assert "taken from the registry class" in found.text


def test_a_dependency_that_does_not_fit_is_found_too(app: FastAPI, models: Models) -> None:
    def inner(word: Annotated[Handle[int], Depends(models.word)]) -> None: ...

    @app.get("/a")
    def a(_inner: Annotated[None, Depends(inner)]) -> None: ...

    assert "'word' asks for int" in only(app, models).text


def test_a_plain_object_in_an_async_handler_is_a_warning(app: FastAPI, models: Models) -> None:
    @app.get("/a")
    async def a(word: Annotated[str, Depends(models.word.raw)]) -> None: ...

    found = only(app, models)
    assert found.level == "warning"
    assert "`async def` handler takes the plain object of 'word'" in found.text


def test_a_plain_object_that_is_not_thread_safe_is_a_warning(app: FastAPI, models: Models) -> None:
    @app.get("/a")
    def a(word: Annotated[str, Depends(models.fragile.raw)]) -> None: ...

    assert "thread_safe=False" in only(app, models).text


def test_a_lambda_given_to_batch_is_a_warning(app: FastAPI, models: Models) -> None:
    @app.get("/a")
    async def a(word: Annotated[Handle[str], Depends(models.word)]) -> str:
        return await word.batch(lambda value, items: [value for _ in items], 1)

    assert "a lambda is given to batch()" in only(app, models).text


def test_a_handler_without_source_is_no_obstacle(app: FastAPI, models: Models) -> None:
    space: dict[str, Any] = {"Handle": Handle, "Depends": Depends, "models": models}
    exec("def a(word: Handle[str] = Depends(models.word)): pass", space)
    app.get("/a")(space["a"])
    assert not [one for one in problems(app, models) if "/a" in one.subject]


def test_a_registry_of_a_function_becomes_a_query_parameter(app: FastAPI, models: Models) -> None:
    code = (
        "from __future__ import annotations\n"
        "from typing import Annotated\n"
        "from fastapi import Depends\n"
        "from loadonce import Handle\n"
        "def make(app, models):\n"
        "    @app.get('/a')\n"
        "    def a(word: Annotated[Handle[str], Depends(models.word)], n: int = 1) -> None: ...\n"
    )
    space: dict[str, Any] = {"__name__": "somewhere"}
    exec(compile(code, "somewhere.py", "exec"), space)
    space["make"](app, models)
    found = only(app, models)
    assert found.level == "error"
    assert "'word' became a query parameter" in found.text
    assert "module level" in found.hint


# -- wiring ----------------------------------------------------------------------------------------


def test_a_registry_that_no_lifespan_names_is_a_warning(models: Models) -> None:
    app = FastAPI()
    install(app, models)
    found = only(app, models)
    assert "may not load it" in found.text


MODULE_LEVEL = Models(root="nowhere")


@asynccontextmanager
async def composed(app: FastAPI) -> AsyncIterator[None]:
    async with MODULE_LEVEL.running(app):
        yield


def test_a_lifespan_of_ones_own_that_names_the_registry_is_fine() -> None:
    app = FastAPI(lifespan=composed)
    install(app, MODULE_LEVEL)
    assert not [one for one in problems(app, MODULE_LEVEL) if one.subject == "Models"]


def test_a_lifespan_that_names_its_module_is_fine(models: Models) -> None:
    known = importlib.import_module("tests_of_cli_models")  # made below

    space: dict[str, Any] = {"known": known}
    exec("async def lifespan(app):\n    known.models\n    yield", space)
    app = FastAPI(lifespan=asynccontextmanager(space["lifespan"]))
    install(app, known.models)
    assert not [one for one in problems(app, known.models) if one.subject == "Models"]


@pytest.fixture(autouse=True)
def _module_with_models(monkeypatch: pytest.MonkeyPatch, models: Models) -> None:
    module = ModuleType("tests_of_cli_models")
    module.models = models  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tests_of_cli_models", module)


def test_hooks_beside_a_lifespan_are_a_warning(app: FastAPI, models: Models) -> None:
    def remembered() -> None: ...

    app.router.on_startup.append(remembered)
    found = only(app, models)
    assert found.text.startswith("the hook 'remembered' will never run")


def test_hooks_that_do_run_are_fine(models: Models) -> None:
    def remembered() -> None: ...

    router = APIRouter(on_startup=[remembered])
    app = FastAPI(lifespan=models.lifespan)
    install(app, models)
    app.include_router(router)
    assert not [one for one in problems(app, models) if one.subject == "lifespan"]
    plain = FastAPI(on_shutdown=[remembered])
    assert not [one for one in problems(plain) if one.subject == "lifespan"]


def test_a_mounted_app_gets_no_lifespan(app: FastAPI, models: Models) -> None:
    inner = FastAPI(lifespan=models.lifespan)
    install(inner, models)
    app.mount("/inner", inner)
    found = only(app, models)
    assert found.subject == "mounted app /inner"
    assert "will not run" in found.text


def test_a_mounted_app_needs_its_own_install(app: FastAPI, models: Models) -> None:
    inner = FastAPI(routes=[Mount("/raw", app=_asgi)])

    @inner.get("/a")
    def a(word: Annotated[Handle[str], Depends(models.word)]) -> None: ...

    app.mount("/inner", inner)
    app.mount("/plain", Starlette())
    found = [one for one in check_app(app, [models]) if "inner" in one.subject]
    assert [(one.level, one.subject) for one in found] == [
        ("ok", "GET /inner/a"),
        ("warning", "mounted app /inner"),
    ]


async def _asgi(scope: Any, receive: Any, send: Any) -> None: ...


def test_direct_routes_are_listed_with_what_fastapi_serves(app: FastAPI, models: Models) -> None:
    app.router.route_class = DirectRoute

    @app.get("/one")
    async def one() -> int:
        return 1

    @app.get("/many")
    async def many() -> AsyncIterator[int]:
        yield 1

    found = [each for each in check_app(app, [models]) if "direct route" in each.text]
    assert found == [
        Finding("ok", "GET /one", "a direct route"),
        Finding(
            "note",
            "GET /many",
            "a direct route served through FastAPI: it streams what it yields",
        ),
    ]


def test_a_missing_install_is_a_warning(models: Models) -> None:
    assert only(FastAPI(lifespan=models.lifespan), models).subject == "install"
    assert only(Starlette(lifespan=models.lifespan), models).subject == "install"


def test_an_install_that_forgets_a_registry_is_a_warning(models: Models) -> None:
    app = FastAPI(lifespan=models.lifespan)
    install(app)
    assert only(app, models).text == "the probes do not tell about Models"


def test_an_app_of_another_kind_is_looked_at_as_far_as_possible(models: Models) -> None:
    assert "a function, whose routes cannot be looked at" in only(_asgi, models).text
    assert "declares no registry" in problems(_asgi)[0].text


# -- artifacts -------------------------------------------------------------------------------------


def _check(tmp_path: Path, registry: type[Registry]) -> list[Finding]:
    return problems(_asgi, registry(root=tmp_path))[:-1]


def test_altered_bytes_are_an_error_with_both_digests(tmp_path: Path, models: Models) -> None:
    (tmp_path / "clf.bin").write_bytes(b"CLF")
    found = problems(_asgi, models)
    assert {one.subject for one in found if one.level == "error"} == {
        "Models.clf",
        "Models.reg",
        "Models.word",
        "Models.fragile",
    }
    assert "Models.parts" in {one.subject for one in found if one.level == "warning"}
    lines = found[0].text.split("\n")
    assert lines[0].startswith("clf.bin: differs from models.lock")
    assert lines[1].startswith("expected: sha256")
    assert lines[2].startswith("found: sha256")
    assert "loadonce lock" in found[0].hint


def test_a_missing_lock_file_is_an_error(tmp_path: Path, models: Models) -> None:
    (tmp_path / "models.lock").unlink()
    assert "there is no lock file" in problems(_asgi, models)[0].text


def _relock(root: Path, **libraries: str) -> None:
    lock = LockFile.read(root)
    lock.with_entry(replace(lock.entries["clf.bin"], libraries=libraries)).write(root)


def test_another_library_version_is_an_error_unless_allowed(
    tmp_path: Path, models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    _relock(tmp_path, fastapi="0.1.0")
    found = problems(_asgi, models)
    assert found[0].level == "error"
    assert "expected: fastapi 0.1.0" in found[0].text
    monkeypatch.setenv("LOADONCE_ALLOW_VERSION_MISMATCH", "true")
    found = problems(_asgi, models)
    assert not has_errors(found)
    assert "was locked with fastapi 0.1.0" in found[0].text


class OneJson(Registry):
    data: Model[int] = artifact("y.json")


def test_a_format_that_differs_from_the_locked_one_is_a_warning(
    tmp_path: Path, models: Models
) -> None:
    class DeclaredJson(Registry):
        data: Model[int] = artifact("y.json", loader="json")

    assert _check(tmp_path, DeclaredJson) == []
    lock_directory(tmp_path, formats={"y.json": "numpy"})
    assert _check(tmp_path, OneJson) == []  # the locked one counts
    found = _check(tmp_path, DeclaredJson)
    assert found[0].level == "warning"
    assert "y.json was locked as 'numpy', its loader is 'json'" in found[0].text


class OfAnotherType(Registry):
    data: Model[dict[str, int]] = artifact("a.pkl")
    clf: Model[Classifier] = artifact("a.pkl")  # only loading tells
    own: Model[str] = artifact("a.pkl", loader=text)
    several: Model[dict[str, Any]] = artifact({"x": "a.pkl"})


def test_a_pickle_of_another_type_is_refused_as_the_start_refuses_it(tmp_path: Path) -> None:
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(datetime.date(2026, 11, 26)))
    lock_directory(tmp_path)
    (found,) = [one for one in _check(tmp_path, OfAnotherType) if one.level == "error"]
    assert found.subject == "OfAnotherType.data"
    with pytest.raises(StartupError) as caught, OfAnotherType(root=tmp_path).loaded():
        pass
    refused = caught.value.failures[0]
    assert isinstance(refused, WrongTypeError)
    assert found.text.split("\n") == [
        f"a.pkl: {refused.problem}",
        f"expected: {refused.expected}",
        "found: a datetime.date",
    ]
    assert found.hint == refused.hint
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"a": 1}))  # the control
    lock_directory(tmp_path)
    assert [one for one in _check(tmp_path, OfAnotherType) if one.level == "error"] == []


class Pickled(Registry):
    ratio: Model[object] = artifact("a.pkl")
    own: Model[str] = artifact("a.pkl", loader=text)


def test_classes_of_ones_own_that_are_not_there_are_found(tmp_path: Path) -> None:
    """Whoever moves a class, or pickles one of a script, learns it before the start."""
    (tmp_path / "a.pkl").write_bytes(b"cno_such_module\nRatio\n.")
    lock_directory(tmp_path, allow=["no_such_module.Ratio"])
    (found,) = [one for one in _check(tmp_path, Pickled) if one.level == "error"]
    assert found.subject == "Pickled.ratio"
    assert "the pickle needs no_such_module.Ratio: ModuleNotFoundError" in found.text
    assert "install 'no_such_module'" in found.hint
    (tmp_path / "a.pkl").write_bytes(b"cargparse\nNamespace\n.")  # the control
    lock_directory(tmp_path, allow=["argparse.Namespace"])
    assert [one for one in _check(tmp_path, Pickled) if one.level == "error"] == []


class UnknownFormat(Registry):
    data: Model[int] = artifact("no.bin")


class UnknownOption(Registry):
    data: Model[int] = artifact("y.json", options={"colour": "red"})


class ElsewhereRegistry(Registry):
    data: Model[int] = artifact("y.json", root=lambda: 1 / 0)  # type: ignore[arg-type,return-value]


class WithResource(Registry):
    pool: Model[int] = resource(lambda: pytest.fail("opened"))


@pytest.mark.parametrize(
    ("registry", "expected"),
    [
        (UnknownFormat, "no loader reads the suffix '.bin'"),
        (UnknownOption, "has no option 'colour'"),
        (ElsewhereRegistry, "ZeroDivisionError: division by zero"),
    ],
)
def test_a_declaration_that_cannot_work_is_an_error(
    tmp_path: Path, models: Models, registry: type[Registry], expected: str
) -> None:
    found = _check(tmp_path, registry)
    assert found[0].level == "error"
    assert expected in found[0].text


def test_a_resource_is_not_opened(tmp_path: Path) -> None:
    assert _check(tmp_path, WithResource) == []


class Unresolved(Registry):
    data: "Model[Decimal]" = artifact("y.json")


class Untyped(Registry):
    data = artifact("y.json")  # type: ignore[var-annotated]


def test_types_that_nobody_can_know_are_warnings(tmp_path: Path, models: Models) -> None:
    found = _check(tmp_path, Unresolved)
    assert found[0].level == "warning"
    assert "name 'Decimal' is not defined" in found[0].text
    found = _check(tmp_path, Untyped)
    assert found[0].subject == "Untyped.data"
    assert "no `Model[T]` annotation" in found[0].text


# -- types -----------------------------------------------------------------------------------------


class Predicts(Protocol):
    def predict(self, X: Any, /) -> Any: ...


class HasName(Protocol):
    name: str


class Fitted:
    name: str

    def predict(self, X: Any, /) -> Any: ...


@pytest.mark.parametrize(
    ("declared", "asked", "expected"),
    [
        (str, str, True),
        (bool, int, True),
        (int, bool, False),
        (int, object, True),
        (object, int, True),
        (int, Any, True),
        (int, T, True),
        (int, int | None, True),
        (int | None, int, False),
        (int | str, int | str | None, True),
        (dict[str, int], Mapping[str, int], True),
        (dict[str, int], Mapping[str, str], False),
        (dict[str, int], Mapping, True),
        (Mapping[str, Classifier], Mapping[str, Regressor], True),
        (Mapping[str, Regressor], Mapping[str, Classifier], False),
        (Annotated[int, "years"], int, True),
        (Fitted, Predicts, True),
        (Fitted, HasName, True),
        (Fitted, Classifier, False),
        (Predicts, Fitted, False),
        (Callable[[int], str], "a name that nobody resolved", True),
    ],
)
def test_what_is_certainly_wrong_is_refused(declared: Any, asked: Any, expected: bool) -> None:
    assert fits(declared, asked) is expected


def test_types_are_named_as_they_are_written() -> None:
    assert name_of(int) == "int"
    assert name_of(Mapping[str, int]) == "collections.abc.Mapping[str, int]"
