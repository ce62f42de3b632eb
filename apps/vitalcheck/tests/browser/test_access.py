"""The page without a mouse, and as assistive technology finds it."""

import pytest
from playwright.sync_api import Page, expect

from .test_looks import VIEWS
from .web import Web, sent

_NAMELESS = """() => [...document.querySelectorAll(
        "main input, main select, main textarea, button, a")]
    .filter((node) => node.checkVisibility({visibilityProperty: true}))
    .filter((node) => !(node.labels?.length || node.textContent.trim() || node.ariaLabel))
    .map((node) => node.outerHTML)"""
_TWICE = """() => [...document.querySelectorAll("[id]")].map((node) => node.id)
    .filter((id, at, all) => all.indexOf(id) !== at)"""
_DANGLING = """() => [...document.querySelectorAll(
        "[aria-describedby], [aria-labelledby], label[for]")]
    .flatMap((node) => ["aria-describedby", "aria-labelledby", "for"].flatMap(
        (name) => (node.getAttribute(name) ?? "").split(" ").filter(Boolean)))
    .filter((id) => !document.getElementById(id))"""


def press_until(page: Page, key: str, selector: str, most: int = 60) -> None:
    """Press `key` until the focused element matches `selector`."""
    for _ in range(most):
        page.keyboard.press(key)
        if page.evaluate("(selector) => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"{key} never reached {selector}")


def test_a_form_can_be_filled_and_sent_with_the_keyboard_alone(web: Web) -> None:
    web.page.goto(web.address)
    web.page.get_by_role("heading", level=1).wait_for()
    keyboard = web.page.keyboard
    keyboard.press("Tab")
    expect(web.page.get_by_role("link", name="Skip to the content")).to_be_focused()
    press_until(web.page, "Tab", "a[data-id=heart]")
    keyboard.press("Enter")
    expect(web.page.get_by_role("heading", level=1, name="Heart disease")).to_be_focused()
    press_until(web.page, "Tab", "[data-field=age] input")
    keyboard.type("58")
    press_until(web.page, "Tab", "[data-field=sex] input")
    keyboard.press("Space")
    keyboard.press("ArrowRight")
    press_until(web.page, "Tab", "[data-field=chest_pain] select")
    keyboard.type("Typ")
    press_until(web.page, "Tab", "[data-field=resting_bp] input")
    keyboard.type("150")
    with web.page.expect_response("**/risk/heart") as answer:
        keyboard.press("Enter")
    told = sent(answer.value)
    asked = {"age": 58, "sex": "female", "chest_pain": "typical_angina", "resting_bp": 150}
    assert {name: told[name] for name in asked} == asked
    panel = web.page.locator('[data-view="heart"] .panel[data-state="answer"]')
    expect(panel.get_by_role("heading", name="Answer")).to_be_focused()
    expect(panel.get_by_role("meter")).to_be_visible()


def test_the_focus_can_be_seen(web: Web) -> None:
    view = web.open("heart")
    view.get_by_role("button", name="Example").focus()
    web.page.keyboard.press("Tab")
    frame = view.locator("[data-field=age] .box-frame")
    assert frame.evaluate("(e) => getComputedStyle(e).boxShadow") != "none"
    press_until(web.page, "Tab", "select")
    assert web.page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


@pytest.mark.parametrize("name", [*VIEWS, "hospital", "models", ""])
def test_everything_has_a_name_and_every_name_exists_once(web: Web, name: str) -> None:
    if name in VIEWS:
        web.answered(name)
    else:
        web.open(name)
    assert web.page.evaluate(_NAMELESS) == []
    assert web.page.evaluate(_TWICE) == []
    assert web.page.evaluate(_DANGLING) == []


def test_there_are_landmarks_one_title_and_a_language(web: Web) -> None:
    web.open("diabetes")
    page = web.page
    for role in ("banner", "navigation", "main"):
        expect(page.get_by_role(role)).to_have_count(1)
    expect(page.get_by_role("heading", level=1)).to_have_count(1)
    expect(page).to_have_title("Diabetes – VitalCheck")
    assert page.evaluate("document.documentElement.lang") == "en"
    expect(page.locator("#nav [aria-current=page]")).to_have_text("Diabetes")


def test_what_happens_is_announced(web: Web) -> None:
    panel, _ = web.answered("diabetes")
    expect(panel.get_by_role("status")).to_have_text("The answer is ready")


def test_choices_are_groups_with_a_name_and_their_limits_are_read(web: Web) -> None:
    view = web.open("heart")
    expect(view.get_by_role("radiogroup", name="Exercise angina")).to_be_visible()
    expect(view.get_by_label("Cholesterol")).to_have_accessible_description(
        "mg/dL allowed: 60 to 700 Serum cholesterol"
    )
