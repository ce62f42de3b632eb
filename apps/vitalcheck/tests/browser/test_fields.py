"""Fields come from the schema: labels, units, limits, choices; what is wrong stands beside them."""

import json
import re

import pytest
from playwright.sync_api import Locator, Route, expect

from .web import Web, sent

BAD = [
    ("diabetes", "glucose", "9999", "Must be 40 to 500 mg/dL"),
    ("heart", "st_depression", "99", "Must be −4 to 8 mm"),
    ("stroke", "age", "7", "Must be 18 to 120 years"),
    ("breast-cancer", "worst_area", "-1", "Must be 0 to 10,000 image scale"),
    ("sleep", "sleep_hours", "30", "Must be 1 to 16 h"),
    ("life-expectancy", "year", "1066", "Must be 1990 to 2050"),
    ("insurance", "general_health", "9", "Must be 1 to 5"),
    ("fitness", "steps", "-5", "Must be 0 to 200,000 steps"),
    ("hospital", "limit", "0", re.compile(r"Must be 1 to [\d,]+")),
]


def field_of(view: Locator, name: str) -> Locator:
    return view.locator(f'[data-field="{name}"]')


def values_of(view: Locator) -> list[str]:
    return [box.input_value() for box in view.locator("input.box, select").all()]


def assert_wrong(field: Locator, message: str | re.Pattern[str], rule: str = "") -> None:
    """The error is visible, tied to its control, and has the focus."""
    error = field.locator(".field__error")
    expect(error).to_have_text(message)
    control = field.locator("[aria-invalid=true]")
    described = (control.get_attribute("aria-describedby") or "").split()
    assert error.get_attribute("id") in described
    expect(control).to_be_focused()
    if rule:
        assert error.get_attribute("data-rule") == rule


@pytest.mark.parametrize(("name", "field", "value", "message"), BAD)
def test_a_bad_value_is_told_beside_its_field_and_nothing_is_lost(
    web: Web, name: str, field: str, value: str, message: str | re.Pattern[str]
) -> None:
    view = web.open(name)
    if name != "hospital":
        web.example(view)
    else:
        view.locator('.panel[data-state="answer"]').wait_for()
    box = field_of(view, field).get_by_role("textbox")
    good = box.input_value()
    box.fill(value)
    before = values_of(view)
    answer = web.submit(view)
    assert answer.status == 422
    wrong = view.locator('.panel[data-state="refused"]')
    wrong.wait_for()
    rule = "greater_than_equal" if value in ("7", "-1", "1066", "-5", "0") else "less_than_equal"
    assert_wrong(field_of(view, field), message, rule)
    expect(view.locator(".form__message")).to_have_text("One field needs attention.")
    expect(wrong).to_contain_text(answer.json()["request_id"])
    assert values_of(view) == before
    box.fill(good)
    expect(field_of(view, field).locator(".field__error")).to_be_hidden()
    assert web.submit(view).status == 200


def test_a_bad_value_of_one_risk_among_several_is_told_beside_its_field(web: Web) -> None:
    view = web.open("comprehensive")
    web.example(view)
    part = view.locator('[data-part="heart"]')
    field_of(part, "age").get_by_role("textbox").fill("5")
    assert web.submit(view).status == 422
    assert_wrong(field_of(part, "age"), "Must be 18 to 120 years", "greater_than_equal")
    expect(view.locator('[data-part="stroke"] .field--wrong')).to_have_count(0)


def test_a_rule_of_the_whole_form_is_told_above_its_button(web: Web) -> None:
    view = web.open("fitness")
    assert web.submit(view).status == 422
    expect(view.locator(".form__message")).to_contain_text("at least one of steps")


def test_required_fields_are_told_all_at_once_and_the_first_gets_the_focus(web: Web) -> None:
    view = web.open("heart")
    assert web.submit(view).status == 422
    expect(view.locator(".field--wrong")).to_have_count(3)
    assert_wrong(field_of(view, "age"), "Enter a value", "missing")
    expect(field_of(view, "sex").locator(".field__error")).to_have_text("Choose one")
    expect(view.locator(".form__message")).to_have_text("3 fields need attention.")


@pytest.mark.parametrize("text", ["abc", "0x10", "1,234", "12 mg", "NaN", "Infinity", "--3"])
def test_what_is_no_number_is_told_before_anything_is_sent(web: Web, text: str) -> None:
    view = web.open("diabetes")
    web.example(view)
    requests: list[str] = []
    web.page.on("request", lambda request: requests.append(request.url))
    field_of(view, "bmi").get_by_role("textbox").fill(text)
    view.locator("button[type=submit]").click()
    assert_wrong(field_of(view, "bmi"), "Enter a number, for example 31.5")
    expect(field_of(view, "bmi").get_by_role("textbox")).to_have_value(text)
    assert requests == []


@pytest.mark.parametrize(("text", "value"), [("31,5", 31.5), (" 31.5 ", 31.5), ("3e1", 30)])
def test_numbers_may_be_written_in_the_usual_ways(web: Web, text: str, value: float) -> None:
    view = web.open("diabetes")
    web.example(view)
    field_of(view, "bmi").get_by_role("textbox").fill(text)
    assert sent(web.submit(view))["bmi"] == value


def test_half_a_pregnancy_is_no_whole_number(web: Web) -> None:
    view = web.open("diabetes")
    field_of(view, "pregnancies").get_by_role("textbox").fill("2.5")
    field_of(view, "pregnancies").get_by_role("textbox").blur()
    expect(field_of(view, "pregnancies").locator(".field__error")).to_have_text(
        "Enter a whole number"
    )


def test_a_value_out_of_range_is_told_when_its_field_is_left(web: Web) -> None:
    view = web.open("diabetes")
    field = field_of(view, "glucose")
    field.get_by_role("textbox").fill("7")
    field.get_by_role("textbox").blur()
    expect(field.locator(".field__error")).to_have_text("Must be 40 to 500 mg/dL")


def test_every_field_of_the_schema_is_there_with_unit_and_limits(web: Web) -> None:
    schema = web.page.request.get(f"{web.address}/openapi.json").json()["components"]["schemas"]
    view = web.open("diabetes")
    properties = schema["Diabetes"]["properties"]
    fields = view.locator("[data-field]")
    assert [field.get_attribute("data-field") for field in fields.all()] == list(properties)
    for name, told in properties.items():
        inner = next(part for part in told.get("anyOf", [told]) if part["type"] != "null")
        field = field_of(view, name)
        expect(field).to_contain_text(f"{inner['minimum']:g} to {inner['maximum']:g}")
        if unit := told.get("unit"):
            expect(field.locator(".box__unit")).to_have_text(unit)
        placeholder = "not known" if "anyOf" in told else "required"
        expect(field.get_by_role("textbox")).to_have_attribute("placeholder", placeholder)


def test_a_field_the_api_adds_tomorrow_is_on_the_page_tomorrow(web: Web) -> None:
    def with_one_more(route: Route) -> None:
        schema = route.fetch().json()
        schema["components"]["schemas"]["Diabetes"]["properties"]["leg_length"] = {
            "anyOf": [{"type": "number", "minimum": 3, "maximum": 7}, {"type": "null"}],
            "title": "Leg length",
            "description": "Length of the left leg, in furlongs; null or absent: not known.",
            "unit": "furlongs",
        }
        route.fulfill(status=200, content_type="application/json", body=json.dumps(schema))

    web.page.route("**/openapi.json", with_one_more)
    field = field_of(web.open("diabetes"), "leg_length")
    expect(field.get_by_label("Leg length")).to_be_visible()
    expect(field).to_contain_text("3 to 7")
    expect(field).to_contain_text("Length of the left leg")
    expect(field.locator(".box__unit")).to_have_text("furlongs")


def test_clear_empties_the_form_and_the_answer(web: Web) -> None:
    panel, _ = web.answered("diabetes")
    view = web.page.locator('[data-view="diabetes"]')
    view.get_by_role("button", name="Clear").click()
    assert set(values_of(view)) == {""}
    expect(panel).to_have_count(0)
