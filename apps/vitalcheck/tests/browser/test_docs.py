"""The API's reference: every operation is there and can be tried; nothing is from elsewhere."""

from collections.abc import Callable

from playwright.sync_api import Locator, expect

from .web import Web


def opened(web: Web) -> Locator:
    web.page.goto(f"{web.address}/docs")
    operations = web.page.locator(".operation")
    operations.first.wait_for()
    return operations


def test_every_operation_of_the_schema_is_there(web: Web) -> None:
    schema = web.page.request.get(f"{web.address}/openapi.json").json()
    operations = opened(web)
    told = {
        f"{method.upper()}{path}" for path, methods in schema["paths"].items() for method in methods
    }
    shown = operations.locator(".operation__title").all_text_contents()
    assert set(shown) == told
    assert len(shown) == len(told)


def test_fields_are_told_with_limits_and_units(web: Web) -> None:
    row = opened(web).locator("tr").filter(has=web.page.get_by_text("glucose", exact=True)).first
    expect(row).to_contain_text("number or null")
    expect(row).to_contain_text("40 to 500 mg/dL")


def test_an_operation_can_be_tried(web: Web) -> None:
    opened(web)
    operation = web.page.locator("#post-api-v1-risk-diabetes")
    operation.get_by_text("Try it").click()
    operation.get_by_label("explain").fill("false")
    operation.get_by_role("button", name="Send").click()
    expect(operation.locator("[data-status]")).to_have_attribute("data-status", "200")
    expect(operation.locator(".try__text")).to_contain_text('"probability"')
    expect(operation.locator(".try__text")).not_to_contain_text("contributors")


def test_a_refusal_is_shown_as_it_came(web: Web) -> None:
    opened(web)
    operation = web.page.locator("#post-api-v1-risk-heart")
    operation.get_by_text("Try it").click()
    operation.get_by_label("Body (JSON)").fill('{"age": 1}')
    operation.get_by_role("button", name="Send").click()
    expect(operation.locator("[data-status]")).to_have_attribute("data-status", "422")
    expect(operation.locator(".try__text")).to_contain_text('"rule": "missing"')


def test_it_fits_a_phone(new_web: Callable[..., Web]) -> None:
    web = new_web(viewport={"width": 360, "height": 740}, color_scheme="dark")
    opened(web)
    for summary in web.page.locator("main summary").all():
        if summary.is_visible():
            summary.click()
    assert web.page.evaluate("document.documentElement.scrollWidth") <= 360
