"""The brain view: choose or drop a picture, see it, have it read; other files are refused."""

import base64
from collections.abc import Callable

import pytest
from playwright.sync_api import FilePayload, Locator, expect

from .web import Web, number


def payload(name: str, kind: str, content: bytes) -> FilePayload:
    return {"name": name, "mimeType": kind, "buffer": content}


def is_painted(preview: Locator) -> bool:
    """Something lighter than black is on the canvas."""
    return bool(
        preview.evaluate(
            "(canvas) => canvas.getContext('2d').getImageData(0, 0, 320, 320).data"
            ".some((value, at) => at % 4 < 3 && value > 50)"
        )
    )


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_picture_is_previewed_and_read(web: Web, scan: Callable[[str], bytes], kind: str) -> None:
    view = web.open("brain-tumor")
    file = payload(f"john-doe.{kind.lower()}", f"image/{kind.lower()}", scan(kind))
    view.locator("input[type=file]").set_input_files(file)
    preview = view.get_by_role("img", name="Preview of the chosen picture")
    expect(preview).to_be_visible()
    assert is_painted(preview)
    answer = web.submit(view)
    assert answer.status == 200
    data = answer.json()["data"]
    panel = view.locator('.panel[data-state="answer"]')
    shown = {
        row.get_attribute("data-name"): number(row.locator(".plain-bar__fill"), "data-share")
        for row in panel.locator(".share").all()
    }
    assert shown == {name: share for name, share in data["probabilities"].items() if share > 0}
    shares = list(shown.values())
    assert shares == sorted(shares, reverse=True)
    assert panel.locator(".share--first").get_attribute("data-name") == data["label"]
    assert b"john-doe" not in (answer.request.post_data_buffer or b"")


def test_the_drawn_example_is_read(web: Web) -> None:
    panel, answer = web.answered("brain-tumor")
    assert panel.locator(".share").count() == len(answer["data"]["probabilities"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"this is a text file", "The file is neither a PNG nor a JPEG image"),
        (b"", "The image is empty"),
    ],
)
def test_another_file_is_refused_beside_the_field(web: Web, content: bytes, message: str) -> None:
    view = web.open("brain-tumor")
    view.locator("input[type=file]").set_input_files(payload("x.png", "image/png", content))
    answer = web.submit(view)
    assert answer.status == 422
    expect(view.locator(".field__error")).to_have_text(message)
    expect(view.locator("input[type=file]")).to_have_attribute("aria-invalid", "true")
    expect(view.locator("canvas")).to_be_hidden()
    expect(view).to_contain_text("no preview")
    expect(view.locator(".panel")).to_contain_text(answer.json()["request_id"])


def test_without_a_picture_nothing_is_sent(web: Web) -> None:
    view = web.open("brain-tumor")
    view.get_by_role("button", name="Read the picture").click()
    expect(view.locator(".field__error")).to_have_text("Choose a picture first")
    expect(view.locator("input[type=file]")).to_be_focused()


def test_a_picture_can_be_dropped(web: Web, scan: Callable[[str], bytes]) -> None:
    view = web.open("brain-tumor")
    view.locator(".drop").evaluate(
        """(zone, text) => {
            const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
            const dataTransfer = new DataTransfer();
            dataTransfer.items.add(new File([bytes], "dropped.png", {type: "image/png"}));
            const settings = {dataTransfer, bubbles: true, cancelable: true};
            for (const kind of ["dragenter", "dragover", "drop"])
                zone.dispatchEvent(new DragEvent(kind, settings));
        }""",
        base64.b64encode(scan("PNG")).decode(),
    )
    expect(view.locator(".drop__file")).to_have_text("dropped.png")
    expect(view.locator("canvas")).to_be_visible()
    assert web.submit(view).status == 200


def test_a_file_that_is_too_large_is_refused(web: Web) -> None:
    view = web.open("brain-tumor")
    file = payload("huge.png", "image/png", b"\x89PNG\r\n\x1a\n" + bytes(11 * 2**20))
    view.locator("input[type=file]").set_input_files(file)
    view.locator("button[type=submit]").click()
    expect(view.locator(".field__error")).to_have_text("The image is larger than 10 MiB")
