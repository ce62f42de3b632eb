"""Uploads: what is read, what is refused with which code, and what an answer holds."""

from __future__ import annotations

import contextlib
import io
import struct
import zlib
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from vitalcheck import imaging
from vitalcheck.imaging import LABELS, SIDE, ImageRefusedError, Pixels


def head(width: int = 200, height: int = 240, mode: str = "L") -> Image.Image:
    """A bright ellipse with a brighter spot at its upper left, on black."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    inside = ((x / width - 0.5) / 0.35) ** 2 + ((y / height - 0.5) / 0.35) ** 2 < 1
    spot = (x / width - 0.4) ** 2 + (y / height - 0.35) ** 2 < 0.05**2
    grey = 20.0 + 120.0 * inside + 80.0 * spot
    return Image.fromarray(grey.astype(np.uint8)).convert(mode)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def refusal(data: bytes) -> str:
    with pytest.raises(ImageRefusedError) as caught:
        imaging.to_input(data)
    return caught.value.code


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims to be `width` x `height` and holds no pixels."""
    fields = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + fields
    end = struct.pack(">I", 0) + b"IEND" + struct.pack(">I", zlib.crc32(b"IEND"))
    return start + struct.pack(">I", zlib.crc32(fields)) + end


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_an_upload_becomes_one_square_of_floats(kind: str) -> None:
    """PNG and JPEG give float32 [1, SIDE, SIDE] between 0 and 1, spread over the whole range."""
    pixels = imaging.to_input(encoded(head(), kind))
    assert pixels.shape == (1, SIDE, SIDE)
    assert pixels.dtype == np.float32
    assert pixels.min() == 0.0
    assert pixels.max() == 1.0


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "PA", "I;16", "CMYK"])
def test_every_pixel_format_gives_about_the_same_picture(mode: str) -> None:
    """Palette, alpha, 16 bits and CMYK mean the same grey head."""
    plain = imaging.to_input(encoded(head()))
    if mode == "I;16":
        image = Image.fromarray(np.asarray(head()).astype(np.uint16) * 256)
    elif mode == "PA":
        image = head().convert("P")
    else:
        image = head(mode=mode)
    kind, options = ("JPEG", {"quality": 95}) if mode == "CMYK" else ("PNG", {})
    if mode == "PA":
        options = {"transparency": 255}
    found = imaging.to_input(encoded(image, kind, **options))
    assert float(np.abs(found - plain).mean()) < (0.25 if mode == "1" else 0.03)


def test_sixteen_bits_keep_their_fine_steps() -> None:
    """A 12-bit scan in a 16-bit file is not flattened to the few grey levels 8 bits would leave."""
    faint = np.asarray(head()).astype(np.uint16)
    np.testing.assert_allclose(
        imaging.to_input(encoded(Image.fromarray(faint))),
        imaging.to_input(encoded(Image.fromarray(faint * 16))),
        atol=1e-5,
    )


def test_transparent_parts_are_black() -> None:
    """What a viewer would not show does not count, whatever colour lies beneath."""
    shown = np.asarray(head())
    hidden = np.where(shown > 50, shown, 255).astype(np.uint8)
    alpha = np.where(shown > 50, 255, 0).astype(np.uint8)
    image = Image.merge("LA", (Image.fromarray(hidden), Image.fromarray(alpha)))
    dark = Image.fromarray(np.where(shown > 50, shown, 0).astype(np.uint8))
    np.testing.assert_array_equal(imaging.to_input(encoded(image)), imaging.to_input(encoded(dark)))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_obeyed(orientation: int) -> None:
    """A picture stored turned or mirrored, with the EXIF tag that says so, is seen upright."""
    stored = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    image = head() if stored is None else head().transpose(stored)
    exif = Image.Exif()
    exif[0x0112] = orientation
    for kind in ("PNG", "JPEG"):
        upright = imaging.to_input(encoded(head(), kind))
        found = imaging.to_input(encoded(image, kind, exif=exif))
        assert float(np.abs(found - upright).max()) < 0.25
        assert float(np.abs(found - upright).mean()) < 0.01


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_unreadable_exif_does_not_cost_the_picture() -> None:
    """Broken metadata beside a good picture is passed over."""
    data = encoded(head(), "JPEG", exif=b"Exif\x00\x00MM\x00\x2a\x00\x00\x00\x08\x00")
    assert imaging.to_input(data).shape == (1, SIDE, SIDE)
    text = b"\x01\x12\x00\x02\x00\x00\x00\x03up\x00\x00"
    wrong = b"Exif\x00\x00MM\x00\x2a\x00\x00\x00\x08\x00\x01" + text + bytes(4)
    np.testing.assert_array_equal(
        imaging.to_input(encoded(head(), exif=wrong)), imaging.to_input(encoded(head()))
    )


@pytest.mark.parametrize("size", [(512, 512), (225, 225), (300, 168), (640, 1200)])
def test_neither_size_nor_padding_of_the_file_changes_the_input(size: tuple[int, int]) -> None:
    """The same head in another file size, or with black around it, gives nearly the same input."""
    reference = imaging.to_input(encoded(head(400, 480)))
    resized = imaging.to_input(encoded(head(400, 480).resize(size, Image.Resampling.LANCZOS)))
    padded = Image.new("L", (900, 700), 20)
    padded.paste(head(400, 480), (300, 100))
    assert float(np.abs(resized - reference).mean()) < 0.05
    assert float(np.abs(imaging.to_input(encoded(padded)) - reference).mean()) < 0.05


def test_a_white_frame_is_not_taken_for_the_head() -> None:
    """Some scans carry a thin bright frame: the crop still finds the head inside it."""
    framed = np.asarray(head(256, 256)).copy()
    framed[:2] = framed[-2:] = 255
    framed[:, :2] = framed[:, -2:] = 255
    plain = imaging.to_input(encoded(head(256, 256)))
    assert float(np.abs(imaging.to_input(encoded(Image.fromarray(framed))) - plain).mean()) < 0.02


@pytest.mark.parametrize("size", [(1, 1), (3, 900), (20_000, 2), (5000, 5000)])
def test_blank_and_odd_pictures_give_finite_input(size: tuple[int, int]) -> None:
    """One pixel, a thin line, the largest allowed size, all of one grey: still a finite input."""
    pixels = imaging.to_input(encoded(Image.new("L", size, 77)))
    assert pixels.shape == (1, SIDE, SIDE)
    assert np.isfinite(pixels).all()


def test_nothing_is_empty() -> None:
    assert refusal(b"") == "empty"


def test_more_than_ten_mebibytes_are_refused_unread() -> None:
    assert refusal(b"\x89PNG\r\n\x1a\n" + bytes(imaging.MAX_BYTES)) == "too_many_bytes"


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF", "WEBP", "PPM"])
def test_other_formats_are_refused_even_when_pillow_could_read_them(kind: str) -> None:
    assert refusal(encoded(head(), kind)) == "not_png_or_jpeg"


@pytest.mark.parametrize("data", [b"hello", bytes(1000), b"%!PS-Adobe"])
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    assert refusal(data) == "not_png_or_jpeg"


@pytest.mark.parametrize("data", [b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"\xff\xd8\xff"])
def test_a_signature_alone_is_a_damaged_picture(data: bytes) -> None:
    assert refusal(data) in {"truncated", "damaged"}


@pytest.mark.parametrize("side", [5001, 10_000, 15_000, 100_000])
def test_too_many_pixels_are_refused_before_decoding(side: int) -> None:
    """The header is enough: the pixels these files claim do not even exist."""
    assert refusal(png_header(side, side)) == "too_many_pixels"


def test_a_small_file_that_unfolds_to_many_pixels_is_refused() -> None:
    """A real decompression bomb of 26 megapixels in a few kilobytes."""
    assert refusal(encoded(Image.new("1", (5000, 5200)))) == "too_many_pixels"


def test_moving_pictures_are_refused() -> None:
    """An animated PNG has no single picture to judge."""
    frames = [head(), head().transpose(Image.Transpose.FLIP_LEFT_RIGHT)]
    assert refusal(encoded(frames[0], save_all=True, append_images=frames[1:])) == "several_frames"


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_half_an_upload_is_refused(kind: str, share: float) -> None:
    """A file cut short is not filled up with grey."""
    noise = np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8)
    data = encoded(Image.fromarray(noise), kind)
    assert refusal(data[: int(len(data) * share)]) in {"truncated", "damaged"}


def test_a_damaged_picture_is_refused() -> None:
    """A flipped bit in the header or in the pixels is noticed by the PNG's own checks."""
    data = bytearray(encoded(head()))
    data[20] ^= 0xFF
    assert refusal(bytes(data)) in {"damaged", "truncated", "too_many_pixels"}
    data = bytearray(encoded(head()))
    data[len(data) // 2] ^= 0xFF
    assert refusal(bytes(data)) in {"damaged", "truncated"}


def test_a_refusal_never_repeats_the_upload() -> None:
    """The message is fixed text for its code."""
    with pytest.raises(ImageRefusedError, match=r"^the file is neither a PNG nor a JPEG image$"):
        imaging.to_input(b"name: Jane Doe, born 1970")


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_hostile_bytes_are_read_or_refused_never_worse(data: st.DataObject) -> None:
    """Any bytes, and any file with some bytes changed, give an input or a refusal."""
    kind = data.draw(st.sampled_from(["PNG", "JPEG", "none"]))
    if kind == "none":
        upload = bytearray(data.draw(st.binary(max_size=200)))
    else:
        upload = bytearray(encoded(head(40, 40), kind))
        for _ in range(data.draw(st.integers(1, 5))):
            upload[data.draw(st.integers(0, len(upload) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ImageRefusedError):
        assert imaging.to_input(bytes(upload)).shape == (1, SIDE, SIDE)


class Fixed:
    """A network that answers the same four numbers for every picture of a batch."""

    def __init__(self, answer: Sequence[float]) -> None:
        self.answer = answer
        self.shapes: list[tuple[int, ...]] = []

    def run(
        self, output_names: Sequence[str] | None, input_feed: Mapping[str, Pixels]
    ) -> Sequence[Pixels]:
        assert output_names == ["probabilities"]
        images = input_feed["image"]
        assert images.dtype == np.float32
        self.shapes.append(images.shape)
        return [np.tile(np.array(self.answer, dtype=np.float32), (len(images), 1))]


def test_a_batch_is_one_call_and_one_reading_each() -> None:
    """Three pictures: one run of the network, three answers."""
    network = Fixed([0.1, 0.2, 0.6, 0.1])
    image = imaging.to_input(encoded(head()))
    readings = imaging.classify(network, [image, image, image])
    assert network.shapes == [(3, 1, SIDE, SIDE)]
    assert [r.label for r in readings] == ["pituitary"] * 3
    assert readings[0].tumor_detected
    assert readings[0].confidence == readings[0].probabilities["pituitary"]
    assert list(readings[0].probabilities) == list(LABELS)


def test_no_tumor_is_the_one_label_without_a_tumor() -> None:
    """Probabilities sum to 1 even where 8-bit arithmetic left a little over."""
    reading = imaging.to_reading(np.array([0.004, -0.001, 0.0, 1.003], dtype=np.float32))
    assert reading.label == "no_tumor"
    assert not reading.tumor_detected
    assert sum(reading.probabilities.values()) == pytest.approx(1.0)
    assert all(0.0 <= p <= 1.0 for p in reading.probabilities.values())


def test_a_temperature_above_one_makes_answers_less_certain() -> None:
    """Softmax keeps the order, sums to one and survives huge logits."""
    logits = np.array([[1000.0, 998.0, 0.0, -1000.0]])
    plain, warm = imaging.softmax(logits), imaging.softmax(logits, 2.0)
    assert plain.sum() == pytest.approx(1.0)
    assert plain.argmax() == warm.argmax() == 0
    assert warm.max() < plain.max()
