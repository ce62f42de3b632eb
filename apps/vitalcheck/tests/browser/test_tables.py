"""Hospital tables with filters and bars, and the list of models with their cards."""

from playwright.sync_api import Locator, expect

from .web import Web


def names_in(table: Locator) -> list[str]:
    return table.locator("tbody th").all_text_contents()


def test_the_tables_come_by_themselves_with_bars(web: Web) -> None:
    with web.page.expect_response("**/hospital/analytics") as answer:
        view = web.open("hospital")
    data = answer.value.json()["data"]
    view.locator('.panel[data-state="answer"]').wait_for()
    departments, conditions = view.locator("table").all()
    assert departments.locator("tbody tr").count() == len(data["departments"])
    assert conditions.locator("tbody tr").count() == len(data["conditions"])
    shares = [
        float(row.locator(".plain-bar__fill").first.get_attribute("data-share") or "nan")
        for row in departments.locator("tbody tr").all()
    ]
    most = max(row["stays"] for row in data["departments"])
    assert shares == [row["stays"] / most for row in data["departments"]]


def test_a_filter_is_asked_of_the_api(web: Web) -> None:
    view = web.open("hospital")
    view.locator('.panel[data-state="answer"]').wait_for()
    view.get_by_role("textbox", name="Department").fill("cardio")
    view.get_by_label("Limit").fill("3")
    answer = web.submit(view)
    assert answer.url.endswith("?department=cardio&limit=3")
    expect(view.locator("table").first.locator("tbody tr")).to_have_count(
        len(answer.json()["data"]["departments"])
    )
    for name in names_in(view.locator("table").first):
        assert "cardio" in name.lower()


def test_nothing_found_is_said(web: Web) -> None:
    view = web.open("hospital")
    view.get_by_role("textbox", name="Department").fill("no such department")
    web.submit(view)
    expect(view.get_by_text("No department matches.")).to_be_visible()


def test_a_table_can_be_sorted_by_any_column(web: Web) -> None:
    view = web.open("hospital")
    table = view.locator("table").first
    table.get_by_role("button", name="Department").click()
    expect(table.locator("th[aria-sort]")).to_have_attribute("aria-sort", "ascending")
    assert names_in(table) == sorted(names_in(table), key=str.lower)
    table.get_by_role("button", name="Department").click()
    expect(table.locator("th[aria-sort]")).to_have_attribute("aria-sort", "descending")
    assert names_in(table) == sorted(names_in(table), key=str.lower, reverse=True)


def test_the_models_are_listed_with_state_digest_and_card(web: Web) -> None:
    told = web.page.request.get(f"{web.address}/api/v1/models").json()["data"]["models"]
    view = web.open("models")
    expect(view.locator(".model")).to_have_count(len(told))
    for model in told:
        shown = view.locator(f'[data-model="{model["name"]}"]')
        expect(shown).to_contain_text(model["sha256"])
        expect(shown.locator(".badge")).to_have_text("Ready")
    card = view.locator('[data-model="diabetes"]')
    card.get_by_text("Model card").click()
    expect(card.get_by_text("Known limits")).to_be_visible()
    expect(card.locator("svg.reliability circle").first).to_be_visible()


def test_the_overview_leads_everywhere(web: Web) -> None:
    view = web.open()
    links = view.get_by_role("link")
    targets = [link.get_attribute("href") or "" for link in links.all()]
    in_navigation = web.page.locator("#nav .nav__link[href^='#/']")
    assert ["#/", *targets] == [link.get_attribute("href") for link in in_navigation.all()]
    links.first.click()
    expect(web.page.get_by_role("heading", level=1, name="Diabetes")).to_be_focused()
