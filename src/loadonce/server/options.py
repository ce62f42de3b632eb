"""What an operator may choose about the process that serves."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from loadonce.errors import ConfigurationError
from loadonce.observe.cpus import available_cpus
from loadonce.observe.events import LogLevel
from loadonce.system.linux import is_linux

ReloadPolicy = Literal["availability", "memory"]

_KUBERNETES_DELAY = 5.0  # until a pod's removal has reached every proxy
_DEFAULT_DELAY = 1.0
_MOST_WORKERS = 64  # for each CPU


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    """Where and how one app is served.

    Attributes:
        target: "module:attribute".
        is_factory: the attribute is a function without parameters that makes the app.
        app_dir: put first on the import path.
        host, port: a TCP address; port 0 lets the system choose.
        uds: a Unix socket's path instead; `uds_mode` are its permissions.
        fd: an inherited listening socket instead.
        ssl_keyfile, ssl_certfile, ssl_keyfile_password: TLS; `ssl_ca_certs` makes clients show a
            certificate signed by one of these.
        root_path: the prefix under which a proxy shows the app.
        proxy_headers: believe X-Forwarded-* headers of the proxies in `forwarded_allow_ips`.
        log_level: of loadonce, uvicorn and the app's own package.
        shows_errors: show exceptions' texts and tracebacks, which may quote requests, at every
            log level.
        access_log: one line for each request, never with its query string.
        drain_delay: seconds for which requests are still accepted after SIGTERM, so that load
            balancers notice first.
        grace: seconds for which accepted requests may then finish.
        workers: how many processes serve.
        fork: whether they are forked from one that has loaded the models; else each of several
            loads its own, and one process alone does everything.
        reload_models: load anew when a lock file changes.
        reload_policy: whether a reload has two generations in memory for a while ("availability"),
            or ends the one that serves first and lets clients wait ("memory").
        keep_generations: how many former generations stay in memory for a rollback, 0 or 1.
        max_worker_bytes: of memory, shared pages counted by their part, beyond which a worker is
            replaced; 0 for no limit.
        max_worker_requests: after so many requests, and up to a tenth more, a worker is replaced; 0
            for never.
        worker_timeout: seconds without a sign of life after which a worker is killed and replaced,
            and for which a model may hang beyond its timeout before its worker is replaced.
    """

    target: str
    is_factory: bool = False
    app_dir: Path = Path()
    host: str = "127.0.0.1"
    port: int = 8000
    uds: Path | None = None
    uds_mode: int = 0o660
    fd: int | None = None
    ssl_keyfile: Path | None = None
    ssl_certfile: Path | None = None
    ssl_keyfile_password: str | None = None
    ssl_ca_certs: Path | None = None
    root_path: str = ""
    proxy_headers: bool = True
    forwarded_allow_ips: str | None = None
    log_level: LogLevel = "info"
    shows_errors: bool = False
    access_log: bool = False
    drain_delay: float = 0.0
    grace: float = 20.0
    workers: int = 1
    fork: bool = field(default_factory=is_linux)
    worker_timeout: float = 8.0
    reload_models: bool = False
    reload_policy: ReloadPolicy = "availability"
    keep_generations: int = 1
    max_worker_bytes: int = 0
    max_worker_requests: int = 0

    def __post_init__(self) -> None:
        if os.name == "nt":
            raise ConfigurationError(
                f"loadonce serves on Linux and macOS only: try `uvicorn {self.target}` here"
            )
        if self.uds is not None and self.fd is not None:
            raise ConfigurationError("--uds and --fd exclude each other: choose one")
        if self.reload_models and not self.has_supervisor:
            raise ConfigurationError("--reload-models needs a supervisor: leave --no-fork out")
        if self.fork and not is_linux():
            raise ConfigurationError("--fork needs Linux: leave it out")
        if self.loads_in_each_worker and self.reload_policy == "memory":
            raise ConfigurationError(
                "--reload-policy memory needs one process that loads for all workers (--fork, on "
                "Linux): leave it out, and have room for two generations of workers"
            )
        if self.workers > (most := _MOST_WORKERS * (cpus := available_cpus())):
            raise ConfigurationError(
                f"--workers {self.workers}: with {cpus} CPU{'s' if cpus != 1 else ''} at most "
                f"{most}; one for each CPU is usual (--workers auto)"
            )
        if self.ssl_certfile is None and (self.ssl_keyfile or self.ssl_ca_certs):
            raise ConfigurationError("TLS needs --ssl-certfile (and --ssl-keyfile)")

    @property
    def has_supervisor(self) -> bool:
        """Whether the workers are other processes than the one that was started."""
        return self.fork or self.workers > 1

    @property
    def loads_in_each_worker(self) -> bool:
        """Whether several workers are started from scratch, and have a copy of the models each."""
        return self.workers > 1 and not self.fork

    @property
    def keeps_generation(self) -> bool:
        """Whether the former generation stays in memory after a reload."""
        keeps = self.fork and self.reload_policy == "availability"
        return keeps and bool(self.keep_generations)

    @property
    def scheme(self) -> str:
        """ "https" with a certificate, else "http"."""
        return "https" if self.ssl_certfile is not None else "http"


def default_drain_delay() -> float:
    """0 s on a terminal, 5 s in a Kubernetes pod, 1 s elsewhere."""
    if sys.stdin is not None and sys.stdin.isatty():
        return 0.0
    return _KUBERNETES_DELAY if "KUBERNETES_SERVICE_HOST" in os.environ else _DEFAULT_DELAY
