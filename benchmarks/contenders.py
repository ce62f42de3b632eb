"""Who is measured, how it is started, and how it is asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from .places import executable, mlserver_directory

Workload = Literal["pipeline", "forest", "cnn", "vitalcheck"]
WORKLOADS: Final[tuple[Workload, ...]] = ("pipeline", "forest", "cnn", "vitalcheck")
TABULAR: Final[tuple[Workload, ...]] = ("pipeline", "forest")
RATES: Final[Mapping[str, int]] = {
    "pipeline": 150,
    "forest": 40,
    "cnn": 500,
    "vitalcheck": 150,
}
"""Requests a second of the measurement at a fixed rate: what the tutorial's app could do, too."""

Row = dict[str, Any]
Body = Callable[[Row], object]
Reading = Callable[[Any], "Reply"]
Command = Callable[[Workload, int], list[str]]


@dataclass(frozen=True, slots=True)
class Reply:
    """What a contender answered; not every protocol names the label."""

    probability: float
    label: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """One server to measure.

    Attributes:
        name: as in the tables.
        environment: the requirements file it is installed from; "repository" for the clone's own.
        workloads: the models it serves.
        command: the program's arguments for a workload and a port.
        path: where it is asked for a prediction.
        health: its liveness route, None if it has none.
        body, reply: between a row of ours and the contender's protocol.
        is_floor: it has no model, so that its answers are not compared.
        environ: variables of its own, given the port.
    """

    name: str
    environment: str
    workloads: tuple[Workload, ...]
    command: Command
    path: Callable[[Workload], str]
    health: str | None
    body: Body = lambda row: row
    reply: Reading = lambda found: Reply(found["probability"], found.get("label"))
    is_floor: bool = False
    environ: Callable[[int], Mapping[str, str]] = field(default=lambda port: {})


def _ours(workload: Workload) -> str:
    return "/recognise" if workload == "cnn" else "/predict"


def _predict(_: Workload) -> str:
    return "/predict"


def _uvicorn(module: str) -> Command:
    def command(_: Workload, port: int) -> list[str]:
        server = [str(executable("fastapi", "python")), "-m", "uvicorn"]
        where = ["--host", "127.0.0.1", "--port", str(port)]
        same = ["--loop", "uvloop", "--http", "httptools", "--no-access-log"]
        return [*server, f"benchmarks.apps.{module}", *where, *same, "--log-level", "warning"]

    return command


def _module(environment: str, module: str, batch: int) -> Command:
    def command(workload: Workload, port: int) -> list[str]:
        program = [str(executable(environment, "python")), "-m", f"benchmarks.apps.{module}"]
        return [*program, str(port), str(batch), workload]

    return command


def _bentoml(service: str) -> Command:
    def command(_: Workload, port: int) -> list[str]:
        program = [str(executable("bentoml", "bentoml")), "serve"]
        where = ["--host", "127.0.0.1", "--port", str(port)]
        return [*program, f"benchmarks.apps.bentoml_app:{service}", *where]

    return command


def _mlserver(is_batched: bool) -> Command:
    def command(workload: Workload, _: int) -> list[str]:
        directory = mlserver_directory(workload, is_batched)
        return [str(executable("mlserver", "mlserver")), "start", str(directory)]

    return command


def _mlserver_environ(port: int) -> Mapping[str, str]:
    return {
        "MLSERVER_HOST": "127.0.0.1",
        "MLSERVER_HTTP_PORT": str(port),
        "MLSERVER_GRPC_PORT": str(port + 1),
        "MLSERVER_METRICS_PORT": str(port + 2),
        "MLSERVER_DEBUG": "false",
    }


def _loadonce(target: str, *flags: str) -> Command:
    def command(_: Workload, port: int) -> list[str]:
        program = [str(executable("repository", "loadonce")), "serve"]
        where = ["--port", str(port), "--drain-delay", "0", "--log-level", "warning"]
        return [*program, target, *flags, *where]

    return command


def _open_inference(row: Row) -> object:
    inputs = [
        {
            "name": name,
            "shape": [1, 1],
            "datatype": "BYTES" if isinstance(value, str) else "FP64",
            "data": [value],
            **({"parameters": {"content_type": "str"}} if isinstance(value, str) else {}),
        }
        for name, value in row.items()
    ]
    outputs = [{"name": "predict_proba"}]
    return {"parameters": {"content_type": "pd"}, "inputs": inputs, "outputs": outputs}


def _open_inference_reply(found: Any) -> Reply:
    (output,) = found["outputs"]
    return Reply(max(output["data"]))


def _first(found: Any) -> Reply:
    return Reply(found[0]["probability"], found[0]["label"])


def _vitalcheck(found: Any) -> Reply:
    return Reply(found["data"]["probability"])


_PICTURES_TOO: Final[tuple[Workload, ...]] = (*TABULAR, "cnn")
_CREATE: Final = ("--factory",)

CONTENDERS: Final[tuple[Contender, ...]] = (
    Contender(
        name="asgi-echo",
        environment="fastapi",
        workloads=("pipeline", "cnn"),
        command=_uvicorn("asgi_echo:app"),
        path=_ours,
        health=None,
        is_floor=True,
    ),
    Contender(
        name="fastapi-echo",
        environment="fastapi",
        workloads=("pipeline", "cnn"),
        command=_uvicorn("echo:app"),
        path=_ours,
        health="/livez",
        is_floor=True,
    ),
    Contender(
        name="fastapi-async",
        environment="fastapi",
        workloads=_PICTURES_TOO,
        command=_uvicorn("fastapi_async:app"),
        path=_ours,
        health="/livez",
    ),
    Contender(
        name="fastapi-def",
        environment="fastapi",
        workloads=_PICTURES_TOO,
        command=_uvicorn("fastapi_def:app"),
        path=_ours,
        health="/livez",
    ),
    Contender(
        name="litserve",
        environment="litserve",
        workloads=_PICTURES_TOO,
        command=_module("litserve", "litserve_app", 1),
        path=_predict,
        health="/health",
    ),
    Contender(
        name="litserve-batched",
        environment="litserve",
        workloads=_PICTURES_TOO,
        command=_module("litserve", "litserve_app", 32),
        path=_predict,
        health="/health",
    ),
    Contender(
        name="bentoml",
        environment="bentoml",
        workloads=TABULAR,
        command=_bentoml("Plain"),
        path=_predict,
        health="/livez",
        body=lambda row: {"row": row},
    ),
    Contender(
        name="bentoml-adaptive",
        environment="bentoml",
        workloads=TABULAR,
        command=_bentoml("Adaptive"),
        path=_predict,
        health="/livez",
        body=lambda row: {"rows": [row]},
        reply=_first,
    ),
    Contender(
        name="mlserver",
        environment="mlserver",
        workloads=TABULAR,
        command=_mlserver(is_batched=False),
        path=lambda workload: f"/v2/models/{workload}/infer",
        health="/v2/health/live",
        body=_open_inference,
        reply=_open_inference_reply,
        environ=_mlserver_environ,
    ),
    Contender(
        name="mlserver-adaptive",
        environment="mlserver",
        workloads=TABULAR,
        command=_mlserver(is_batched=True),
        path=lambda workload: f"/v2/models/{workload}/infer",
        health="/v2/health/live",
        body=_open_inference,
        reply=_open_inference_reply,
        environ=_mlserver_environ,
    ),
    Contender(
        name="ray",
        environment="ray",
        workloads=TABULAR,
        command=_module("ray", "ray_app", 1),
        path=_predict,
        health="/livez",
    ),
    Contender(
        name="ray-batched",
        environment="ray",
        workloads=TABULAR,
        command=_module("ray", "ray_app", 32),
        path=_predict,
        health="/livez",
    ),
    Contender(
        name="loadonce-joblib",
        environment="repository",
        workloads=TABULAR,
        command=_loadonce("benchmarks.apps.loadonce_joblib:app"),
        path=_ours,
        health="/livez",
    ),
    Contender(
        name="loadonce-process",
        environment="repository",
        workloads=TABULAR,
        command=_loadonce("benchmarks.apps.loadonce_joblib:app"),
        path=_ours,
        health="/livez",
        environ=lambda port: {"BENCH_PLACEMENT": "process"},
    ),
    Contender(
        name="loadonce-converted",
        environment="repository",
        workloads=_PICTURES_TOO,
        command=_loadonce("benchmarks.apps.loadonce_converted:create_app", *_CREATE),
        path=_ours,
        health="/livez",
    ),
    Contender(
        name="loadonce-direct",
        environment="repository",
        workloads=_PICTURES_TOO,
        command=_loadonce("benchmarks.apps.loadonce_direct:create_app", *_CREATE),
        path=_ours,
        health="/livez",
    ),
    Contender(
        name="tutorial-vitalcheck",
        environment="fastapi",
        workloads=("vitalcheck",),
        command=_uvicorn("tutorial_vitalcheck:app"),
        path=lambda _: "/diabetes",
        health="/livez",
    ),
    Contender(
        name="loadonce-vitalcheck",
        environment="repository",
        workloads=("vitalcheck",),
        command=_loadonce("vitalcheck.app:create_app", *_CREATE),
        path=lambda _: "/api/v1/risk/diabetes?explain=false",
        health="/livez",
        reply=_vitalcheck,
    ),
)

BY_NAME: Final[Mapping[str, Contender]] = {one.name: one for one in CONTENDERS}
