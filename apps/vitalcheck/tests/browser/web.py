"""The page as a visitor uses it, watched for what must never happen."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import ConsoleMessage, Locator, Page, Request, Response

_PATIENCE_MS = 15_000
_REFUSED = "Failed to load resource: the server responded with a status of 4"
_UNAVAILABLE = "Failed to load resource: the server responded with a status of 503"


def sent(answer: Response) -> dict[str, Any]:
    """The JSON object that was sent to get this answer."""
    body = answer.request.post_data_json
    assert isinstance(body, dict)
    return body


def number(locator: Locator, name: str) -> float:
    """An attribute as a number; NaN where there is none."""
    return float(locator.get_attribute(name) or "nan")


@dataclass
class Web:
    """VitalCheck's page in a browser."""

    page: Page
    address: str
    allowed: tuple[str, ...] = (_REFUSED,)
    complaints: list[str] = field(default_factory=list)

    def watch(self) -> None:
        self.page.set_default_timeout(_PATIENCE_MS)
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        self.page.on("request", self._on_request)
        self.page.add_init_script(
            "addEventListener('securitypolicyviolation', (event) => "
            "console.error('policy violated', event.violatedDirective, event.blockedURI))"
        )

    def _on_console(self, message: ConsoleMessage) -> None:
        if not message.text.startswith(self.allowed):
            self.complaints.append(f"console {message.type}: {message.text}")

    def _on_request(self, request: Request) -> None:
        if not request.url.startswith(f"{self.address}/"):
            self.complaints.append(f"asked another host: {request.url}")

    def allow_unavailable(self) -> None:
        """The browser itself notes answers of 503 in the console."""
        self.allowed = (*self.allowed, _UNAVAILABLE)

    def open(self, name: str = "") -> Locator:
        """Go to a view by its name in the address."""
        self.page.goto(f"{self.address}/#/{name}")
        view = self.page.locator(f'[data-view="{name or "overview"}"]')
        view.wait_for()
        return view

    def example(self, view: Locator) -> None:
        view.get_by_role("button", name="Example").click()

    def submit(self, view: Locator) -> Response:
        """Send the form and wait for what the server answers."""
        with self.page.expect_response(lambda response: "/api/v1/" in response.url) as answer:
            view.locator("button[type=submit]").click()
        return answer.value

    def answered(self, name: str) -> tuple[Locator, dict[str, Any]]:
        """The answer's panel, and what the API said, for a view's example."""
        view = self.open(name)
        self.example(view)
        if name == "brain-tumor":
            view.locator(".drop__file").wait_for()
        answer = self.submit(view)
        panel = view.locator('.panel[data-state="answer"]')
        panel.wait_for()
        return panel, answer.json()
