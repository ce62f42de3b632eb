"""The container file, built step by step and started as it says, on a machine without an engine.

buildah executes the steps in a root of their own; the image that the file begins with is replaced
by a root that debootstrap makes, with Python of the same version. Bubblewrap starts the result as
an engine would: namespaces of its own, a network that is nothing but a loopback, and as process 1
what the image names, as the user it names. The root is read-only, as in `kubernetes.yaml`.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from loadonce.artifacts import LockFile

pytestmark = [
    pytest.mark.integration,
    pytest.mark.nightly,
    pytest.mark.timeout(1200),  # it installs two operating systems' worth of packages
]

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "deploy" / "Dockerfile"
TOOLS = ("buildah", "bwrap", "debootstrap", "nsenter", "unshare")
DEBIAN = {"3.13": "trixie"}  # which release has that Python
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
REQUEST = """
import urllib.request
flower = b'{"petal_length": 1.4, "petal_width": 0.2}'
headers = {"content-type": "application/json"}
asked = urllib.request.Request("http://127.0.0.1:8000/species", flower, headers)
print(urllib.request.urlopen(asked).read().decode())
"""
Build = Callable[[Path, str], "subprocess.CompletedProcess[str]"]


def _run(*command: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True)


def _done(*command: str, cwd: Path | None = None) -> str:
    done = _run(*command, cwd=cwd)
    assert done.returncode == 0, f"{command[0]}: {done.stdout}{done.stderr}"
    return done.stdout.strip()


@dataclass(frozen=True)
class Buildah:
    """buildah with storage of its own: no engine is asked, nothing elsewhere is touched."""

    directory: Path

    def __call__(self, *arguments: str) -> str:
        return _done(*self._command(*arguments))

    def build(self, context: Path, tag: str) -> subprocess.CompletedProcess[str]:
        """HEALTHCHECK is none of OCI's instructions, hence the format."""
        how = ("--isolation", "chroot", "--format", "docker", "--pull=never")
        return _run(*self._command("build", *how, "--tag", tag, str(context)))

    def _command(self, *arguments: str) -> Sequence[str]:
        storage = f"--root={self.directory / 'storage'}", f"--runroot={self.directory / 'run'}"
        return ("buildah", *storage, "--storage-driver=vfs", *arguments)


@pytest.fixture(scope="module")
def buildah(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Buildah]:
    """With an image of the name that the container file begins with."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("roots are made by root on Linux")
    if missing := [tool for tool in TOOLS if shutil.which(tool) is None]:
        pytest.skip(f"not installed: {', '.join(missing)}")
    directory = tmp_path_factory.mktemp("container")
    buildah = Buildah(directory)
    try:
        [image, version] = re.findall(r"^FROM (python:(\S+)-slim)$", DOCKERFILE.read_text(), re.M)[
            0
        ]
        base = _python(directory / "base", version)
        container = buildah("from", "scratch")
        buildah("add", container, str(base), "/")
        shutil.rmtree(base)
        buildah("commit", "--rm", container, f"localhost/{image}")
        yield buildah
    finally:
        shutil.rmtree(directory)


def _python(root: Path, version: str) -> Path:
    """A root with this Python, as the official image has it: `python`, and pip may install."""
    wanted = "--include=python3,python3-pip,ca-certificates"
    # Its mounts end with the namespace, whatever becomes of it.
    make = ("unshare", "--mount", "debootstrap", "--variant=minbase", wanted)
    made = _run(*make, DEBIAN[version], str(root))
    if made.returncode:
        pytest.skip(f"debootstrap made no root: {made.stdout.strip().splitlines()[-1]}")
    (root / f"usr/lib/python{version}/EXTERNALLY-MANAGED").unlink()
    (root / "usr/bin/python").symlink_to("python3")
    shutil.copy(CERTIFICATES, root / "etc/ssl/certs")  # perhaps that of a proxy
    return root


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What docs/how-to/run.md says to lay beside the file: wheel, requirements, app and models."""
    context = tmp_path_factory.mktemp("context")
    quickstart = ROOT / "examples" / "quickstart"
    shutil.copy(DOCKERFILE, context)
    shutil.copy(quickstart / "app.py", context)
    _done(sys.executable, str(quickstart / "make_model.py"), cwd=context)
    _done(sys.executable, "-m", "loadonce", "lock", "models", cwd=context)
    pip = (sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation")
    _done(*pip, "--wheel-dir", str(context), str(ROOT))
    [wheel] = context.glob("loadonce-*.whl")
    libraries = LockFile.read(context / "models").entries["iris.joblib"].libraries
    pinned = [f"{name}=={version}" for name, version in libraries.items()]
    (context / "requirements.txt").write_text("\n".join([f"./{wheel.name}[sklearn]", *pinned]))
    return context


@dataclass(frozen=True)
class Image:
    """A root, and how it is to be started."""

    root: str
    config: dict[str, Any]


@pytest.fixture(scope="module")
def image(buildah: Buildah, context: Path) -> Image:
    """The container file's."""
    built = buildah.build(context, "app:1")
    assert built.returncode == 0, built.stdout + built.stderr
    config = json.loads(buildah("inspect", "--type", "image", "app:1"))["Docker"]["config"]
    return Image(buildah("mount", buildah("from", "--pull=never", "app:1")), config)


class Container:
    """What runs, and the way into it."""

    def __init__(self, popen: subprocess.Popen[str], pid: int, user: str) -> None:
        self.popen = popen
        self.pid = pid
        self._into = ("nsenter", f"--target={pid}", "--mount", "--pid", "--net")
        self._as = (f"--setuid={user}", f"--setgid={user}")

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """As `docker exec` does."""
        return _run(*self._into, *self._as, *command)

    def users(self) -> dict[str, set[str]]:
        """Real, effective, saved and file system's user of each of its processes."""
        told = self.run("sh", "-c", "grep ^Uid: /proc/[0-9]*/status").stdout
        found = re.findall(r"^/proc/(\d+)/status:Uid:\t(.*)", told, re.M)
        return {pid: set(users.split()) for pid, users in found}


@contextmanager
def started(image: Image) -> Iterator[Container]:
    """Once it says that it is ready."""
    config, (told, tell) = image.config, os.pipe()
    user = config["User"]
    environment = [part for each in config["Env"] for part in ("--setenv", *each.split("=", 1))]
    bubblewrap = (
        *("bwrap", "--ro-bind", image.root, "/", "--proc", "/proc", "--dev", "/dev"),
        *("--perms", "1777", "--tmpfs", "/tmp", "--perms", "1777", "--tmpfs", "/dev/shm"),
        *("--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--as-pid-1"),
        *("--die-with-parent", "--info-fd", str(tell), "--clearenv", *environment),
        *("--chdir", config["WorkingDir"], "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"),
    )
    become = (
        *("setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--no-new-privs"),
        *config["Entrypoint"],
        *config["Cmd"],
    )
    popen = subprocess.Popen(
        [*bubblewrap, *become],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        pass_fds=[tell],
    )
    os.close(tell)
    with popen, open(told) as info:
        try:
            pid = json.load(info)["child-pid"]
            assert popen.stdout is not None
            lines = [popen.stdout.readline()]
            while "ready on http://0.0.0.0:8000" not in lines[-1]:
                assert lines[-1], "".join(lines)
                lines.append(popen.stdout.readline())
            yield Container(popen, pid, user)
        finally:
            popen.kill()  # and, with it, all in there


def test_the_image_serves_as_the_file_says_and_stops_when_told(image: Image) -> None:
    way, *health = image.config["Healthcheck"]["Test"]
    assert way == "CMD"
    with started(image) as container:
        done = container.run(*health)
        assert done.returncode == 0, done.stderr
        wrong_port = [word.replace(":8000/", ":8001/") for word in health]  # the control
        assert container.run(*wrong_port).returncode != 0
        assert container.run("python", "-c", REQUEST).stdout.strip() == '"setosa"'
        users = container.users()
        assert "1" in users
        assert set.union(*users.values()) == {"10001"}
        for path in ("/home/app/app.py", "/home/app/models/models.lock"):
            assert "Read-only" in container.run("sh", "-c", f"echo > {path}").stderr
        os.kill(container.pid, signal.SIGTERM)
        told, _ = container.popen.communicate()
        assert container.popen.returncode == 0, told
        assert '"message": "stopped", "requests_lost": 0' in told


def test_the_models_belong_to_root_also_where_the_root_is_writable(image: Image) -> None:
    for path in ("app.py", "models", "models/iris.joblib", "models/models.lock"):
        status = Path(image.root, "home/app", path).stat()
        assert (status.st_uid, status.st_mode & 0o022) == (0, 0)


def test_a_step_that_fails_ends_the_build(
    buildah: Buildah, context: Path, tmp_path: Path, image: Image
) -> None:
    broken = tmp_path / "context"
    shutil.copytree(context, broken)
    (broken / "requirements.txt").write_text("./no-such.whl")
    done = buildah.build(broken, "broken:1")
    assert done.returncode != 0
    assert "no-such.whl" in done.stdout + done.stderr
    assert "broken" not in buildah("images")
