"""What one sees while a model loads, when one has failed, and when there is no server."""

import json
import re
from collections.abc import Callable

from playwright.sync_api import Route, expect

from .web import Web, sent


def test_a_loading_model_is_asked_again_until_it_answers(
    new_web: Callable[..., Web], unready_server: str
) -> None:
    web = new_web(unready_server)
    web.allow_unavailable()
    view = web.open("diabetes")
    web.example(view)
    assert web.submit(view).status == 503
    banner = view.locator(".banner--wait")
    expect(banner).to_contain_text("The diabetes model is loading")
    expect(banner).to_contain_text(re.compile(r"Trying again in \d s\."))
    expect(view.get_by_text("The page tries again by itself.")).to_be_attached()
    view.locator('.panel[data-state="answer"]').wait_for()
    expect(view.locator("svg.gauge")).to_be_visible()


def test_waiting_can_be_stopped(new_web: Callable[..., Web], unready_server: str) -> None:
    web = new_web(unready_server)
    web.allow_unavailable()
    view = web.open("heart")
    web.example(view)
    assert web.submit(view).status == 503
    expect(view.locator(".banner--wait")).to_contain_text(re.compile(r"Trying again in \d{4} s\."))
    view.get_by_role("button", name="Stop waiting").click()
    expect(view.locator(".panel")).to_have_attribute("data-state", "empty")
    expect(view.get_by_label("Cholesterol")).to_have_value("245")


def test_a_model_that_failed_is_told_with_the_request_and_not_asked_again(
    new_web: Callable[..., Web], unready_server: str
) -> None:
    web = new_web(unready_server)
    web.allow_unavailable()
    view = web.open("sleep")
    web.example(view)
    answer = web.submit(view)
    banner = view.get_by_role("alert").filter(has_text="Model failed to load")
    expect(banner).to_contain_text(answer.json()["request_id"])
    expect(view.get_by_label("BMI")).to_have_value("28.5")


def test_the_state_of_each_model_is_shown_until_all_are_ready(web: Web) -> None:
    loading = iter(("loading", "pending"))

    def while_loading(route: Route) -> None:
        answer = route.fetch().json()
        answer["data"]["models"][0]["state"] = next(loading, "ready")
        route.fulfill(status=200, content_type="application/json", body=json.dumps(answer))

    web.page.route("**/api/v1/models", while_loading)
    view = web.open("diabetes")
    badge = view.locator(".badge[data-model=diabetes]")
    expect(badge).to_have_text("Model is loading")
    expect(web.page.locator("#models-state")).to_have_text("9 of 10 models ready")
    expect(web.page.get_by_role("link", name="Diabetes (loading)")).to_be_visible()
    expect(badge).to_have_text("Model waits to be loaded")
    expect(badge).to_have_text("Model ready")
    expect(web.page.locator("#models-state")).to_have_text("10 of 10 models ready")


def test_a_lost_connection_loses_nothing_else(web: Web) -> None:
    view = web.open("diabetes")
    web.example(view)
    web.allowed = (*web.allowed, "Failed to load resource: net::ERR_INTERNET_DISCONNECTED")
    web.page.context.set_offline(True)
    view.locator("button[type=submit]").click()
    expect(view.get_by_role("alert").filter(has_text="cannot be reached")).to_be_visible()
    expect(view.get_by_label("Glucose")).to_have_value("138")
    web.page.context.set_offline(False)
    assert web.submit(view).status == 200


def test_a_page_without_its_schema_says_so(web: Web) -> None:
    web.allowed = (*web.allowed, "Failed to load resource: the server responded with a status of 5")
    web.page.route("**/openapi.json", lambda route: route.fulfill(status=500, body="{}"))
    web.page.goto(web.address)
    expect(web.page.get_by_role("alert")).to_contain_text("The server answered 500")
    web.page.unroute("**/openapi.json")
    web.page.get_by_role("button", name="Try again").click()
    web.page.get_by_role("heading", level=1).wait_for()


def test_only_the_last_of_two_hasty_answers_is_shown(web: Web) -> None:
    view = web.open("diabetes")
    web.example(view)
    web.page.route("**/risk/diabetes", lambda route: route.continue_())
    view.locator("button[type=submit]").click()
    view.get_by_label("Glucose").fill("60")
    with web.page.expect_response(
        lambda answer: "risk/diabetes" in answer.url and sent(answer)["glucose"] == 60
    ) as last:
        view.get_by_label("Glucose").press("Enter")
    probability = last.value.json()["data"]["probability"]
    gauge = view.locator("svg.gauge")
    expect(gauge).to_have_attribute("aria-valuenow", str(probability))
    expect(gauge).to_have_count(1)
