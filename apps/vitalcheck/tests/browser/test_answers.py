"""Each form, filled with its own example, gets an answer and draws it with the right numbers."""

from typing import Any

import pytest
from playwright.sync_api import Locator, expect

from .web import Web, number, sent

RISKS = {
    "diabetes": "risk/diabetes",
    "heart": "risk/heart",
    "stroke": "risk/stroke",
    "breast-cancer": "risk/breast-cancer",
    "sleep": "sleep/assessment",
}
BODIES = {
    **RISKS,
    "comprehensive": "risk/comprehensive",
    "life-expectancy": "longevity/life-expectancy",
    "insurance": "insurance/cost",
    "fitness": "fitness/percentiles",
}


def assert_gauge(part: Locator, data: dict[str, Any]) -> None:
    gauge = part.locator("svg.gauge")
    assert gauge.get_attribute("role") == "meter"
    assert number(gauge, "aria-valuenow") == data["probability"]
    assert f"{data['probability'] * 100:.1f} %" in (gauge.text_content() or "")
    here = part.locator(".gauge__band--here")
    assert f"gauge__band--{data['risk_level']}" in (here.get_attribute("class") or "")
    expect(part.locator(".level .chip")).to_have_text(data["risk_level"].capitalize())


def assert_bars(part: Locator, data: dict[str, Any], prediction: float) -> None:
    """One signed bar for each contributor, as long as its effect; together they reach it."""
    bars = part.locator(".waterfall rect.bar").all()
    effects = [number(bar, "data-effect") for bar in bars]
    told = [item["effect"] for item in data["contributors"]]
    assert effects[: len(told)] == told
    assert data["baseline"] + sum(effects) == pytest.approx(prediction, abs=1e-9 * abs(prediction))
    scales = [
        float((bar.get_attribute("width") or "").rstrip("%")) / abs(effect)
        for bar, effect in zip(bars, effects, strict=True)
        if float((bar.get_attribute("width") or "").rstrip("%")) > 0.71
    ]
    assert scales == pytest.approx([scales[0]] * len(scales))
    for bar, effect in zip(bars, effects, strict=True):
        assert ("bar--down" in (bar.get_attribute("class") or "")) == (effect < 0)
    shown = part.locator(".waterfall tbody tr[data-feature]:not([data-feature=''])")
    names = [row.get_attribute("data-feature") for row in shown.all()]
    assert names == [item["feature"] for item in data["contributors"]]


@pytest.mark.parametrize("name", RISKS)
def test_a_risk_is_a_gauge_with_signed_bars_and_advice(web: Web, name: str) -> None:
    panel, answer = web.answered(name)
    data = answer["data"]
    assert_gauge(panel, data)
    assert_bars(panel, data, data["probability"])
    advice = panel.locator(".advice li").all_text_contents()
    assert advice == data["recommendations"]


def test_sleep_shows_the_lifestyle_score(web: Web) -> None:
    panel, answer = web.answered("sleep")
    score = panel.get_by_role("meter", name="Lifestyle score")
    assert number(score, "aria-valuenow") == answer["data"]["lifestyle_score"]
    panel.get_by_text("How is it computed?").click()
    expect(panel.get_by_text("weight 30")).to_be_visible()


def test_several_risks_each_have_a_gauge_the_highest_first(web: Web) -> None:
    panel, answer = web.answered("comprehensive")
    data = answer["data"]
    expect(panel.locator(".overall .chip")).to_have_text(data["overall"].capitalize())
    parts = panel.locator(".answer__risk")
    assert {part.get_attribute("data-model") for part in parts.all()} == set(data["profile"])
    for part in parts.all():
        risk = data["profile"][part.get_attribute("data-model")]
        assert_gauge(part, risk)
        assert_bars(part, risk, risk["probability"])
    first = parts.first.get_attribute("data-model")
    assert data["profile"][first]["risk_level"] == data["overall"]


def test_a_risk_that_is_left_out_is_not_asked(web: Web) -> None:
    view = web.open("comprehensive")
    web.example(view)
    view.get_by_role("checkbox", name="Heart disease").uncheck()
    answer = web.submit(view)
    assert set(sent(answer)) == {"diabetes", "stroke"}
    assert set(answer.json()["data"]["profile"]) == {"diabetes", "stroke"}


@pytest.mark.parametrize(
    ("name", "value", "interval"),
    [("life-expectancy", "years", "interval"), ("insurance", "expected_usd", "interval_usd")],
)
def test_an_estimate_is_a_bar_with_its_interval(
    web: Web, name: str, value: str, interval: str
) -> None:
    panel, answer = web.answered(name)
    data = answer["data"]
    bar = panel.locator("svg.interval")
    low, high = data[interval]
    assert number(bar, "data-value") == data[value]
    assert [number(bar, "data-low"), number(bar, "data-high")] == [low, high]
    band = bar.locator(".interval__band").bounding_box()
    mark = bar.locator(".interval__mark").bounding_box()
    assert band is not None
    assert mark is not None
    place = (mark["x"] + mark["width"] / 2 - band["x"]) / band["width"]
    assert place == pytest.approx((data[value] - low) / (high - low), abs=0.03)
    assert_bars(panel, data, data[value])


def test_fitness_is_one_strip_for_each_metric(web: Web) -> None:
    panel, answer = web.answered("fitness")
    data = answer["data"]
    strips = panel.locator(".answer__metric")
    shown = {
        part.get_attribute("data-metric"): number(part.locator("svg.strip"), "aria-valuenow")
        for part in strips.all()
    }
    assert shown == data["percentiles"]
    expect(panel).to_contain_text(data["reference"]["group"])
    expect(panel).to_contain_text(f"{data['reference']['people']} people")


@pytest.mark.parametrize("name", BODIES)
def test_the_example_is_sent_as_the_schema_states_it(web: Web, name: str) -> None:
    schema = web.page.request.get(f"{web.address}/openapi.json").json()
    path = f"/api/v1/{BODIES[name]}"
    view = web.open(name)
    web.example(view)
    answer = web.submit(view)
    assert answer.status == 200
    assert answer.url == f"{web.address}{path}"
    content = schema["paths"][path]["post"]["requestBody"]["content"]["application/json"]
    body = schema["components"]["schemas"][content["schema"]["$ref"].rsplit("/", 1)[1]]
    assert sent(answer) == body["examples"][0]


def test_an_answer_says_where_it_came_from(web: Web) -> None:
    panel, answer = web.answered("heart")
    footer = panel.locator(".provenance")
    expect(footer).to_contain_text(answer["model"]["version"])
    expect(footer).to_contain_text(answer["model"]["sha256"][:16])
    expect(footer).to_contain_text(answer["request_id"])
    expect(footer).to_contain_text(answer["disclaimer"])
    expect(footer).to_contain_text(" ms")


def test_what_is_not_known_is_sent_as_null(web: Web) -> None:
    view = web.open("heart")
    web.example(view)
    view.get_by_label("Cholesterol").fill("")
    view.locator('[data-field="exercise_angina"]').get_by_text("Not known").click()
    view.get_by_label("Resting ECG").select_option("")
    told = sent(web.submit(view))
    assert [told[name] for name in ("cholesterol", "exercise_angina", "resting_ecg")] == [None] * 3
    assert told["resting_bp"] == 132


def test_an_empty_form_sends_nothing_it_was_not_told(web: Web) -> None:
    view = web.open("sleep")
    view.get_by_label("Age").fill("40")
    view.get_by_text("Male", exact=True).click()
    told = sent(web.submit(view))
    assert {name: value for name, value in told.items() if value is not None} == {
        "age": 40,
        "sex": "male",
    }


def test_an_answer_is_marked_once_the_form_has_changed(web: Web) -> None:
    panel, _ = web.answered("diabetes")
    note = panel.get_by_text("The form has changed since this answer.")
    expect(note).to_be_hidden()
    web.page.get_by_label("Glucose").fill("99")
    expect(note).to_be_visible()


def test_forms_keep_what_was_typed_while_one_looks_elsewhere(web: Web) -> None:
    view = web.open("diabetes")
    view.get_by_label("Glucose").fill("123")
    web.page.get_by_role("link", name="Stroke").click()
    expect(view).to_be_hidden()
    web.page.get_by_role("link", name="Diabetes").click()
    expect(view.get_by_label("Glucose")).to_have_value("123")
