"""From an uploaded picture to the brain-tumour network's input, and from its output to an answer.

Training and serving both come through `prepare`, so a picture means the same to both. Plain numpy
and Pillow: serving needs no torch. Nothing here keeps, logs or repeats what was uploaded.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL import Image

Pixels: TypeAlias = NDArray[np.float32]

LABELS: Final = ("glioma", "meningioma", "pituitary", "no_tumor")
"""The network's four outputs, in this order."""
SIDE: Final = 112
"""Height and width of the network's input, in pixels."""
MAX_BYTES: Final = 10 * 2**20
MAX_PIXELS: Final = 25_000_000

_ORIENTATION: Final = 0x0112
_TURNS: Final = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
_SIGNATURES: Final = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")
_THUMB: Final = 64
_FRAME: Final = 2
_PROBLEMS: Final = {
    "empty": "the image is empty",
    "too_many_bytes": f"the image is larger than {MAX_BYTES // 2**20} MiB",
    "not_png_or_jpeg": "the file is neither a PNG nor a JPEG image",
    "too_many_pixels": f"the image has more than {MAX_PIXELS // 1_000_000} megapixels",
    "several_frames": "the image has several frames; send one still picture",
    "truncated": "the image file ends too early",
    "damaged": "the image file is damaged",
}


class ImageRefusedError(ValueError):
    """An upload that cannot be read as one still PNG or JPEG picture.

    `code` is one of: empty, too_many_bytes, not_png_or_jpeg, too_many_pixels, several_frames,
    truncated, damaged. The message never holds anything from the file.
    """

    def __init__(self, code: str) -> None:
        self.code = code
        super().__init__(_PROBLEMS[code])


class Network(Protocol):
    """What is used of an `onnxruntime.InferenceSession`."""

    def run(
        self, output_names: Sequence[str] | None, input_feed: Mapping[str, Pixels]
    ) -> Sequence[object]: ...


@dataclass(frozen=True, slots=True)
class Reading:
    """One picture's answer: the likeliest label, its probability and all four."""

    label: str
    confidence: float
    probabilities: Mapping[str, float]

    @property
    def tumor_detected(self) -> bool:
        return self.label != "no_tumor"


def to_input(data: bytes) -> Pixels:
    """The bytes of a PNG or JPEG file -> float32 [1, SIDE, SIDE] in 0..1.

    Raises `ImageRefusedError`. Up to half a second of work for 25 megapixels: not for the loop.
    """
    return prepare(decode(data))


def classify(network: Network, images: Sequence[Pixels]) -> list[Reading]:
    """One `Reading` for each prepared picture (`to_input`), computed as one batch."""
    (answer,) = network.run(["probabilities"], {"image": np.stack(images).astype(np.float32)})
    return [to_reading(row) for row in np.asarray(answer, dtype=np.float32)]


def to_reading(probabilities: Pixels) -> Reading:
    """The network's four numbers for one picture, in the order of `LABELS` -> an answer."""
    shares = np.clip(np.asarray(probabilities, dtype=np.float64), 0.0, 1.0)
    shares = shares / shares.sum()
    best = int(shares.argmax())
    named = {label: float(p) for label, p in zip(LABELS, shares, strict=True)}
    return Reading(LABELS[best], named[LABELS[best]], named)


def softmax(logits: NDArray[np.floating], temperature: float = 1.0) -> NDArray[np.float64]:
    """Logits [n, 4] -> probabilities [n, 4]; a temperature above 1 makes them less certain."""
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    powers = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def decode(data: bytes) -> Image.Image:
    """The bytes of a PNG or JPEG file -> one upright grey picture (mode "L", or "F" for 16 bits).

    Size and frames are checked before a pixel is decoded. Raises `ImageRefusedError`.
    """
    from PIL import Image, UnidentifiedImageError

    if not data:
        raise ImageRefusedError("empty")
    if len(data) > MAX_BYTES:
        raise ImageRefusedError("too_many_bytes")
    try:
        with Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) as image:
            _check_header(image)
            image.load()
            return _to_grey(_upright(image))
    except ImageRefusedError:
        raise
    except UnidentifiedImageError as exc:
        known = data.startswith(_SIGNATURES)
        raise ImageRefusedError("damaged" if known else "not_png_or_jpeg") from exc
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as exc:
        raise ImageRefusedError("too_many_pixels") from exc
    except Exception as exc:
        # Pillow's decoders answer hostile bytes with OSError, SyntaxError, ValueError,
        # struct.error, zlib.error and more: this is the one place that translates them.
        early = isinstance(exc, EOFError) or "truncated" in str(exc).lower()
        raise ImageRefusedError("truncated" if early else "damaged") from exc


def prepare(image: Image.Image) -> Pixels:
    """A grey picture of any size -> float32 [1, SIDE, SIDE] in 0..1.

    Crops to the head and stretches the crop to one size with anti-aliasing, so that neither the
    file's size nor its padding reaches the network; then scales between the crop's 1st and 99.5th
    percentile, so that neither does the scanner's brightness.
    """
    from PIL import Image

    box = _head_box(image)
    small = image.resize((SIDE, SIDE), Image.Resampling.LANCZOS, box=box)
    pixels = np.asarray(small, dtype=np.float32)
    low, high = np.percentile(pixels, (1.0, 99.5))
    scaled = (pixels - low) / max(float(high - low), 1e-6)
    unit: Pixels = np.clip(scaled, 0.0, 1.0).astype(np.float32)
    return unit[np.newaxis]


def _check_header(image: Image.Image) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise ImageRefusedError("too_many_pixels")
    if getattr(image, "n_frames", 1) > 1:
        raise ImageRefusedError("several_frames")


def _upright(image: Image.Image) -> Image.Image:
    from PIL import Image

    turn = _TURNS.get(_orientation(image))
    return image if turn is None else image.transpose(Image.Transpose[turn])


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:
        # Unreadable EXIF says nothing about the picture itself, which stays as it is stored.
        return 1


def _to_grey(image: Image.Image) -> Image.Image:
    if image.mode.startswith(("I", "F")):
        return image.convert("I").convert("F")
    if image.has_transparency_data:
        from PIL import Image

        black = Image.new("RGBA", image.size, (0, 0, 0, 255))
        return Image.alpha_composite(black, image.convert("RGBA")).convert("L")
    if image.mode == "CMYK":
        return image.convert("RGB").convert("L")
    return image.convert("L")


def _head_box(image: Image.Image) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of the bright part, in pixels, with a small margin.

    The outermost pixels of the thumbnail do not count: some scans carry a white frame.
    """
    from PIL import Image

    thumb = np.asarray(image.resize((_THUMB, _THUMB), Image.Resampling.BOX), dtype=np.float32)
    low, high = np.percentile(thumb, (2.0, 98.0))
    bright = thumb > low + 0.18 * (high - low)
    bright[:_FRAME] = bright[-_FRAME:] = False
    bright[:, :_FRAME] = bright[:, -_FRAME:] = False
    top, bottom = _extent(bright.sum(axis=1))
    left, right = _extent(bright.sum(axis=0))
    x, y = image.width / _THUMB, image.height / _THUMB
    return left * x, top * y, right * x, bottom * y


def _extent(counts: NDArray[np.integer]) -> tuple[int, int]:
    """First and last line with at least four bright pixels, one more each side; else all."""
    lines = np.flatnonzero(counts >= 4)
    if len(lines) < _THUMB // 4:
        return 0, _THUMB
    return max(int(lines[0]) - 1, 0), min(int(lines[-1]) + 2, _THUMB)
