"""`loadonce serve`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

import typer

from .parameters import AppDir, Factory, Host, Level, Port, Target, size_of

_ADDRESS = "Where to listen"
_TLS = "TLS"
_PROXY = "Behind a proxy"
_STOP = "Stopping"


def serve(
    context: typer.Context,
    target: Target,
    factory: Factory = False,
    app_dir: AppDir = Path("."),
    workers: Annotated[
        str,
        typer.Option(
            "--workers",
            metavar="N|auto",
            help="Processes that serve; all share the models that were loaded once, before they "
            "were forked (Linux), or each loads a copy. auto: as many as there are CPUs for this "
            "process.",
        ),
    ] = "1",
    fork: Annotated[
        bool | None,
        typer.Option(
            "--fork/--no-fork",
            help="Load in a process of its own, fork from it those that serve, and watch them; "
            "the default on Linux. Otherwise each of several workers loads its own models, and "
            "one alone does everything.",
        ),
    ] = None,
    reload_models: Annotated[
        bool,
        typer.Option(
            "--reload-models",
            help="Load anew, beside what serves, when a models.lock changes.",
        ),
    ] = False,
    reload_policy: Annotated[
        Literal["availability", "memory"],
        typer.Option(
            "--reload-policy",
            help="availability: a reload has both generations in memory for a while, if they fit. "
            "memory: it ends the one that serves first, and clients wait.",
        ),
    ] = "availability",
    keep_generations: Annotated[
        int,
        typer.Option(
            "--keep-generations",
            min=0,
            max=1,
            help="How many former generations stay in memory, for `loadonce rollback`.",
        ),
    ] = 1,
    max_worker_memory: Annotated[
        str,
        typer.Option(
            "--max-worker-memory",
            metavar="SIZE",
            help="Memory of a worker, such as 1GiB, beyond which a new one takes its "
            "place; what is shared counts by its part. 0 for no limit.",
        ),
    ] = "0",
    max_worker_requests: Annotated[
        int,
        typer.Option(
            "--max-worker-requests",
            min=0,
            help="Requests after which, and up to a tenth more, a new worker takes the place of "
            "one of several. 0 for no limit.",
        ),
    ] = 0,
    host: Host = "127.0.0.1",
    port: Port = 8000,
    uds: Annotated[
        Path | None,
        typer.Option("--uds", help="A Unix socket instead.", rich_help_panel=_ADDRESS),
    ] = None,
    uds_mode: Annotated[
        str,
        typer.Option("--uds-mode", help="Its permissions, in octal.", rich_help_panel=_ADDRESS),
    ] = "660",
    fd: Annotated[
        int | None,
        typer.Option("--fd", help="An inherited socket instead.", rich_help_panel=_ADDRESS),
    ] = None,
    ssl_certfile: Annotated[
        Path | None, typer.Option("--ssl-certfile", help="Certificate.", rich_help_panel=_TLS)
    ] = None,
    ssl_keyfile: Annotated[
        Path | None, typer.Option("--ssl-keyfile", help="Its private key.", rich_help_panel=_TLS)
    ] = None,
    ssl_keyfile_password: Annotated[
        str | None,
        typer.Option(
            "--ssl-keyfile-password",
            envvar="LOADONCE_SSL_KEYFILE_PASSWORD",
            help="The key's password; better given by the environment variable.",
            rich_help_panel=_TLS,
        ),
    ] = None,
    ssl_ca_certs: Annotated[
        Path | None,
        typer.Option(
            "--ssl-ca-certs",
            help="Refuse clients without a certificate signed by one of these.",
            rich_help_panel=_TLS,
        ),
    ] = None,
    root_path: Annotated[
        str,
        typer.Option(
            "--root-path", help="Prefix under which a proxy shows the app.", rich_help_panel=_PROXY
        ),
    ] = "",
    proxy_headers: Annotated[
        bool,
        typer.Option(
            "--proxy-headers/--no-proxy-headers",
            help="Believe X-Forwarded-* headers of trusted proxies.",
            rich_help_panel=_PROXY,
        ),
    ] = True,
    forwarded_allow_ips: Annotated[
        str | None,
        typer.Option(
            "--forwarded-allow-ips",
            envvar="FORWARDED_ALLOW_IPS",
            help="Trusted proxies, comma-separated; by default 127.0.0.1,::1.",
            rich_help_panel=_PROXY,
        ),
    ] = None,
    log_level: Level = "info",
    access_log: Annotated[
        bool,
        typer.Option(
            "--access-log/--no-access-log",
            help="Log each request: method, path and status, never the query string.",
        ),
    ] = False,
    drain_delay: Annotated[
        float | None,
        typer.Option(
            "--drain-delay",
            min=0.0,
            envvar="LOADONCE_DRAIN_DELAY",
            help="Seconds for which requests are still accepted after SIGTERM while /readyz says "
            "503, so that load balancers notice; by default 0 on a terminal, 5 in Kubernetes, "
            "else 1.",
            rich_help_panel=_STOP,
        ),
    ] = None,
    timeout_graceful_shutdown: Annotated[
        float,
        typer.Option(
            "--timeout-graceful-shutdown",
            min=0.0,
            help="Seconds for which accepted requests may then finish.",
            rich_help_panel=_STOP,
        ),
    ] = 20.0,
    worker_timeout: Annotated[
        float,
        typer.Option(
            "--worker-timeout",
            min=1.0,
            help="Seconds without a sign of life from its event loop after which a worker is "
            "killed and replaced; and for which a model may hang beyond its timeout.",
            rich_help_panel=_STOP,
        ),
    ] = 8.0,
) -> None:
    """Serve an app: load its models once, answer requests, stop cleanly.

    The start fails at once, with exit code 3 and one message, if a required model is missing,
    altered or does not load. SIGTERM and Ctrl-C finish what was accepted and exit 0; a second
    Ctrl-C hurries.

    Examples:

      loadonce serve main:app

      loadonce serve main:app --workers 4

      loadonce serve shop.app:create_app --factory --host 0.0.0.0 --port 80
    """
    from loadonce.server import ServeOptions, default_drain_delay, end_process
    from loadonce.server import serve as serve_app
    from loadonce.system.linux import is_linux

    options = ServeOptions(
        target=target,
        is_factory=factory,
        app_dir=app_dir,
        host=host,
        port=port,
        uds=uds,
        uds_mode=_octal(uds_mode),
        fd=fd,
        ssl_certfile=ssl_certfile,
        ssl_keyfile=ssl_keyfile,
        ssl_keyfile_password=ssl_keyfile_password,
        ssl_ca_certs=ssl_ca_certs,
        root_path=root_path,
        proxy_headers=proxy_headers,
        forwarded_allow_ips=forwarded_allow_ips,
        log_level=log_level,
        access_log=access_log,
        drain_delay=default_drain_delay() if drain_delay is None else drain_delay,
        grace=timeout_graceful_shutdown,
        workers=_count(workers),
        fork=is_linux() if fork is None else fork,
        worker_timeout=worker_timeout,
        reload_models=reload_models,
        reload_policy=reload_policy,
        keep_generations=keep_generations,
        max_worker_bytes=size_of(max_worker_memory, "--max-worker-memory"),
        max_worker_requests=max_worker_requests,
    )
    end_process(serve_app(options, began=context.obj))


def _count(workers: str) -> int:
    if workers == "auto":
        from loadonce.observe.cpus import available_cpus

        return available_cpus()
    if not workers.isdigit() or int(workers) < 1:
        raise typer.BadParameter(
            f"'{workers}' is neither a number above 0 nor auto", param_hint="--workers"
        )
    return int(workers)


def _octal(text: str) -> int:
    digits = text.removeprefix("0o")
    if not re.fullmatch("0?[0-7]{1,3}", digits):
        raise typer.BadParameter(
            f"'{text}' is no octal number such as 660", param_hint="--uds-mode"
        )
    return int(digits, 8)
