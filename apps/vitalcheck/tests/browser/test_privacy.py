"""Health data goes to the API and nowhere else; nothing from elsewhere comes into the page."""

import re
from pathlib import Path

import pytest

import vitalcheck

from .web import Web

STATIC = Path(vitalcheck.__file__).parent / "static"
FILES = [path for path in STATIC.rglob("*") if path.is_file()]
SCRIPTS = [path for path in FILES if path.suffix == ".js"]
# What would read data as markup or code, or keep or show it where it does not belong.
FORBIDDEN = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|"
    r"console\.|sessionStorage|indexedDB|document\.cookie|pushState|replaceState|sendBeacon"
)


def test_an_answer_leaves_no_trace_in_the_browser(web: Web) -> None:
    view = web.open("diabetes")
    web.example(view)
    view.get_by_label("Glucose").fill("187")
    web.submit(view)
    view.locator('.panel[data-state="answer"]').wait_for()
    page = web.page
    assert page.url == f"{web.address}/#/diabetes"
    assert page.evaluate("({...localStorage, ...sessionStorage})") == {}
    assert page.context.cookies() == []
    assert page.evaluate("indexedDB.databases()") == []
    page.reload()
    page.locator('[data-view="diabetes"]').wait_for()
    assert page.get_by_label("Glucose").input_value() == ""


def test_the_policy_keeps_out_what_is_not_ours(web: Web) -> None:
    """The negative control of every other test here: a violation is noticed."""
    web.open()
    web.page.evaluate(
        """() => {
            const style = document.createElement("p");
            style.setAttribute("style", "color: red");
            const script = document.createElement("script");
            script.textContent = "window.intruder = true";
            document.body.append(style, script);
        }"""
    )
    web.page.wait_for_function("document.body.lastChild.tagName === 'SCRIPT'")
    assert web.page.evaluate("window.intruder") is None
    assert any("policy violated" in complaint for complaint in web.complaints)
    web.complaints.clear()


def test_what_an_api_says_is_text_and_never_markup(web: Web) -> None:
    """A model card with markup in it changes nothing but words."""
    evil = "<img src=x onerror=window.intruder=1>"

    def told(route: object) -> None:
        answer = route.fetch().json()  # type: ignore[attr-defined]
        answer["data"]["models"][0]["card"]["known_limits"] = [evil]
        route.fulfill(json=answer)  # type: ignore[attr-defined]

    web.page.route("**/api/v1/models", told)
    view = web.open("diabetes")
    view.get_by_text("Known limits").click()
    view.get_by_text(evil).wait_for()
    assert web.page.evaluate("window.intruder") is None


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: str(path.relative_to(STATIC)))
def test_scripts_are_small_and_do_nothing_that_is_forbidden(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) < 250
    assert FORBIDDEN.findall(text) == []
    assert ("localStorage" in text) == path.name.startswith("theme")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(STATIC)))
def test_nothing_comes_from_another_host_and_nothing_is_inline(path: Path) -> None:
    text = path.read_text()
    assert set(re.findall(r"https?://[^\"' )]+", text)) <= {"http://www.w3.org/2000/svg"}
    if path.suffix == ".html":
        assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", text)
