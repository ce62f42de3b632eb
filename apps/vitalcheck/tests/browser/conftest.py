"""A real server and a real browser: `loadonce serve` on a free port, headless Chromium.

Skipped where there is no Chromium. Every page a test opens is watched: an error in the console, a
violation of the content policy or a request to another host fails the test.
"""

import io
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import Browser, sync_playwright

from .web import Web

_HERE = Path(__file__).parent
_DEADLINE = 120.0
_CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
_ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(_HERE):
            item.add_marker(pytest.mark.integration)
            item.add_marker(pytest.mark.timeout(_DEADLINE))


@contextmanager
def serving(target: str, folder: Path, log: Path) -> Iterator[str]:
    """The address of a server that is ready; it is gone afterwards."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    program = Path(sys.executable).with_name("loadonce")
    command = [str(program), "serve", target, "--factory", "--port", str(port)]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("VITALCHECK_")}
    with log.open("w") as output:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            _wait_until_ready(address, process, log)
            yield address
        finally:
            process.terminate()
            process.wait(30)


def _wait_until_ready(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + _DEADLINE / 2
    while time.monotonic() < end:
        if process.poll() is not None:
            break
        try:
            if httpx2.get(f"{address}/livez", timeout=2).status_code == 200:
                return
        except httpx2.HTTPError:
            time.sleep(0.1)
    raise RuntimeError(f"the server did not start:\n{log.read_text()[-4000:]}")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """VitalCheck with its own artifacts."""
    folder = tmp_path_factory.mktemp("server")
    with serving("vitalcheck.app:create_app", folder, folder / "log") as address:
        yield address


@pytest.fixture(scope="session")
def unready_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """VitalCheck with models that are not ready (see `unready_app`)."""
    log = tmp_path_factory.mktemp("unready") / "log"
    with serving("unready_app:create_app", _HERE, log) as address:
        yield address


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if _CHROMIUM is None:
        pytest.skip("no Chromium on this machine: nothing of the page was tested")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_CHROMIUM, args=list(_ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture
def new_web(browser: Browser, server: str) -> Iterator[Callable[..., Web]]:
    """Opens pages with settings of one's own, e.g. `new_web(color_scheme="dark")`."""
    opened: list[Web] = []

    def make(address: str = server, **settings: Any) -> Web:
        web = Web(browser.new_context(**settings).new_page(), address)
        web.watch()
        opened.append(web)
        return web

    yield make
    for web in opened:
        web.page.context.close()
    assert [complaint for web in opened for complaint in web.complaints] == []


@pytest.fixture
def web(new_web: Callable[..., Web]) -> Web:
    """The page on a desk, in the light theme."""
    return new_web(viewport={"width": 1280, "height": 900}, color_scheme="light")


@pytest.fixture(scope="session")
def scan() -> Callable[[str], bytes]:
    """A drawing of a head, as a file of this format."""

    def draw(kind: str) -> bytes:
        picture = Image.new("L", (180, 200), 0)
        pen = ImageDraw.Draw(picture)
        pen.ellipse((20, 10, 160, 190), fill=160)
        pen.ellipse((30, 20, 150, 180), fill=90)
        pen.ellipse((100, 60, 130, 90), fill=220)
        buffer = io.BytesIO()
        picture.save(buffer, kind)
        return buffer.getvalue()

    return draw
