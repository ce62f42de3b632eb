"""What the brain-tumour card says besides the numbers: data, licence, preprocessing, limits."""

from __future__ import annotations

from importlib.metadata import version

from vitalcheck.imaging import LABELS, SIDE
from vitalcheck.training.brain_tumor_scans import ALIKE

LIBRARIES = ("torch", "onnx", "onnxruntime", "pillow")
DATA = (
    "640 greyscale JPEG slices, 160 per class, of the Testing folder of Kaggle "
    "masoudnickparvar/brain-tumor-mri-dataset (which combines figshare 1512427 (Cheng), SARTAJ and "
    "Br35H), one per near-duplicate cluster; a quarter was kept aside and never used here"
)
LICENCE = (
    "Kaggle page CC0, figshare CC BY 4.0 (both recalled, not seen); the SARTAJ part has no clear "
    "licence, so the pictures are not part of this package"
)
PREPROCESSING = (
    "upright by EXIF orientation, transparency over black, greyscale",
    "cropped to the head: the bright part of a 64x64 thumbnail, its outermost pixels not counted",
    f"stretched to {SIDE}x{SIDE} with Lanczos anti-aliasing; every training picture was truly "
    "down-sampled, so size and padding of the file do not reach the network, and its scaling blur "
    "hardly does",
    "scaled from the crop's 1st and 99.5th percentile to 0..1, clipped",
)
LIMITS = (
    "Not a medical device. A score on this set says little about clinical use.",
    "Picture size alone tells tumour from none about 93 % of the time in the source files: all "
    "glioma files are 512x512, no no_tumor file is. Size and padding are removed before the "
    "network and scaling blur is made nearly equal; the shortcut checks measure what is left.",
    "no_tumor pictures come from other scanners and sequences (some FLAIR or T2, at least one "
    "looks like CT) and nearly all are axial; tumour pictures are T1 with contrast in three "
    "planes. So part of what separates tumour from none here is the sequence, not the tumour.",
    "The pictures carry no patient numbers: slices of one patient can lie on both sides of a "
    f"split, so every score is optimistic. Pictures alike (correlation above {ALIKE}, mirror "
    "images included) were kept on one side.",
    "One slice is judged, not a scan. A slice without visible tumour from a patient with one, "
    "another kind of lesion, a picture of another organ or of no head at all still gets one of the "
    "four labels, sometimes a confident one.",
    "Meningioma is the hardest class: near the sella it is taken for a pituitary tumour.",
    "Scores and calibration are those of single networks on pictures they never saw; the model "
    "averages all of them, which cannot be measured without further pictures and may be a little "
    "less certain.",
    "The recipe was chosen among about eight by its cross-validated score on the same pictures, so "
    "that score is a little optimistic.",
)


def static_facts() -> dict[str, object]:
    """The part of the card that no training run changes."""
    return {
        "title": "Brain tumour on an MRI slice",
        "task": "one MRI slice of a head -> glioma, meningioma, pituitary tumour or no tumour",
        "data": DATA,
        "licence": LICENCE,
        "classes": list(LABELS),
        "preprocessing": list(PREPROCESSING),
        "input": f"image float32 [n, 1, {SIDE}, {SIDE}], 0..1",
        "output": "probabilities float32 [n, 4], in the order of classes",
        "known_limits": list(LIMITS),
        "libraries": {name: version(name) for name in LIBRARIES},
    }
