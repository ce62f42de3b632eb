"""Dark and light, phone and paper, contrast, and the disclaimer that is always there."""

import json
import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, Route, expect

from .web import Web

VIEWS = (
    "diabetes",
    "heart",
    "stroke",
    "breast-cancer",
    "comprehensive",
    "brain-tumor",
    "sleep",
    "fitness",
    "life-expectancy",
    "insurance",
)
PHONE = {"width": 360, "height": 740}
# Each text colour with the grounds it stands on.
TEXTS = {
    "ink": ("ground", "surface", "sunken"),
    "quiet": ("ground", "surface", "sunken"),
    "accent": ("ground", "surface", "accent-soft"),
    "on-accent": ("accent",),
    "wrong": ("surface", "wrong-soft"),
    "wait": ("surface", "wait-soft"),
    "down": ("surface",),
}
GRAPHICS = ("edge", "low", "moderate", "high", "critical", "up", "down", "accent")


def colour(page: Page, name: str) -> tuple[float, ...]:
    """A colour of the theme as red, green and blue from 0 to 1."""
    text = page.evaluate(
        """(name) => {
            const probe = document.body.appendChild(document.createElement("i"));
            probe.style.color = `var(--${name})`;
            const found = getComputedStyle(probe).color;
            probe.remove();
            return found;
        }""",
        name,
    )
    return tuple(int(part) / 255 for part in re.findall(r"\d+", text)[:3])


def contrast(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """WCAG 2.2's contrast ratio."""

    def luminance(colour: tuple[float, ...]) -> float:
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_and_pictures_have_the_contrast_of_wcag_aa(
    new_web: Callable[..., Web], scheme: str
) -> None:
    web = new_web(color_scheme=scheme)
    web.open()
    for text, grounds in TEXTS.items():
        for ground in grounds:
            ratio = contrast(colour(web.page, text), colour(web.page, ground))
            assert ratio >= 4.5, f"{text} on {ground}: {ratio:.2f}"
    for name in GRAPHICS:
        ratio = contrast(colour(web.page, name), colour(web.page, "surface"))
        assert ratio >= 3, f"{name}: {ratio:.2f}"


def test_the_theme_follows_the_system_and_the_button(new_web: Callable[..., Web]) -> None:
    web = new_web(color_scheme="dark")
    web.open()
    button = web.page.get_by_role("button", name="Dark theme")

    def is_dark() -> bool:
        return sum(colour(web.page, "ground")) < 1

    assert is_dark()
    expect(button).to_have_attribute("aria-pressed", "true")
    button.click()
    assert not is_dark()
    web.page.reload()
    assert not is_dark()
    expect(button).to_have_attribute("aria-pressed", "false")
    button.click()
    assert is_dark()
    assert web.page.evaluate("({...localStorage})") == {"vitalcheck-theme": "dark"}


@pytest.mark.parametrize("name", [*VIEWS, "hospital", "models", ""])
def test_nothing_is_wider_than_a_phone(new_web: Callable[..., Web], name: str) -> None:
    web = new_web(viewport=PHONE, has_touch=True)
    if name in VIEWS:
        web.answered(name)
    else:
        web.open(name)
    for width in (360, 320):
        web.page.set_viewport_size({"width": width, "height": PHONE["height"]})
        assert web.page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("name", VIEWS)
def test_no_control_is_wider_than_its_column(new_web: Callable[..., Web], name: str) -> None:
    """Or it would cover its neighbour; at any width, where columns are narrow or wide."""
    web = new_web()
    view = web.open(name)
    for width in (1280, 1024, 820, 700, PHONE["width"]):
        web.page.set_viewport_size({"width": width, "height": 900})
        too_wide = view.locator(".field").evaluate_all(
            """(fields) => fields.filter((field) => [...field.querySelectorAll("*")].some((part) =>
                !part.matches(".visually-hidden, input[type=radio], input[type=file]") &&
                part.getBoundingClientRect().right > field.getBoundingClientRect().right + 1
            )).map((field) => field.textContent)"""
        )
        assert too_wide == [], width


@pytest.mark.parametrize("state", ["Asking", "state unknown", "9 of 10 ready"])
def test_what_is_said_of_the_models_fits_a_phone(new_web: Callable[..., Web], state: str) -> None:
    """While the models are asked for, when that failed, and while one is loading."""
    web = new_web(viewport={"width": 320, "height": PHONE["height"]}, has_touch=True)
    web.allow_unavailable()
    held: list[Route] = []

    def answer(route: Route) -> None:
        if state == "Asking":
            held.append(route)
        elif state == "state unknown":
            route.fulfill(status=503, content_type="application/json", body="{}")
        else:
            body = route.fetch().json()
            body["data"]["models"][0]["state"] = "loading"
            route.fulfill(status=200, content_type="application/json", body=json.dumps(body))

    web.page.route("**/api/v1/models", answer)
    web.open("models")
    expect(web.page.locator("#models-state")).to_have_text(state, use_inner_text=True)
    assert web.page.evaluate("document.documentElement.scrollWidth") == 320
    for route in held:
        route.continue_()


def test_on_a_phone_the_navigation_opens_and_closes(new_web: Callable[..., Web]) -> None:
    web = new_web(viewport=PHONE)
    web.open()
    menu = web.page.get_by_role("button", name="Menu")
    link = web.page.get_by_role("navigation").get_by_role("link", name="Fitness")
    expect(link).to_be_hidden()
    menu.click()
    expect(menu).to_have_attribute("aria-expanded", "true")
    expect(link).to_be_visible()
    expect(web.page.get_by_role("link", name="Overview")).to_be_in_viewport(ratio=1)
    assert web.page.locator("#nav").evaluate("(nav) => nav.getBoundingClientRect().top") == 56
    web.page.keyboard.press("Escape")
    expect(link).to_be_hidden()
    expect(menu).to_be_focused()
    menu.click()
    link.click()
    expect(link).to_be_hidden()
    expect(web.page.get_by_role("heading", level=1, name="Fitness")).to_be_visible()


def test_controls_are_large_enough_for_a_finger(new_web: Callable[..., Web]) -> None:
    web = new_web(viewport=PHONE, has_touch=True)
    view = web.open("heart")
    for control in view.locator("button, .pill, .box-frame, select").all():
        box = control.bounding_box()
        assert box is not None
        assert box["height"] >= 32


@pytest.mark.parametrize("viewport", [PHONE, {"width": 1280, "height": 900}])
def test_the_disclaimer_is_always_visible(
    new_web: Callable[..., Web], viewport: dict[str, int]
) -> None:
    web = new_web(viewport=viewport)
    for name in ("", "breast-cancer", "models"):
        web.open(name)
        web.page.mouse.wheel(0, 600)
        expect(web.page.get_by_role("contentinfo").first).to_be_in_viewport(ratio=1)
        expect(web.page.get_by_role("contentinfo").first).to_contain_text("Not a medical device")


def test_on_paper_there_is_the_answer_and_nothing_to_click(web: Web) -> None:
    panel, _ = web.answered("diabetes")
    web.page.emulate_media(media="print")
    expect(panel.locator("svg.gauge")).to_be_visible()
    expect(web.page.get_by_text("Not a medical device.", exact=True)).to_be_visible()
    for hidden in ("#nav", "#theme", "button[type=submit]"):
        expect(web.page.locator(hidden).first).to_be_hidden()


def test_nothing_moves_for_who_wants_calm(new_web: Callable[..., Web]) -> None:
    web = new_web(reduced_motion="reduce")
    panel, _ = web.answered("diabetes")
    assert panel.locator(".answer").evaluate("(e) => getComputedStyle(e).animationName") == "none"


def test_paper_is_white_in_the_dark_theme_too(new_web: Callable[..., Web]) -> None:
    web = new_web(color_scheme="dark")
    web.open()
    web.page.get_by_role("button", name="Dark theme").click(click_count=2)
    assert sum(colour(web.page, "ground")) < 1
    web.page.emulate_media(media="print")
    assert contrast(colour(web.page, "ink"), colour(web.page, "surface")) > 12
    assert colour(web.page, "surface") == (1, 1, 1)
