"""The trained networks as one ONNX graph, proven equal to PyTorch, and its 8-bit form.

`image` float32 [n, 1, SIDE, SIDE] -> `probabilities` float32 [n, 4].
"""

from __future__ import annotations

import logging
import statistics
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import onnxruntime  # reports nothing to its vendor: see this package's __init__
import torch
from onnxruntime import quantization
from torch import Tensor

from vitalcheck.imaging import LABELS, SIDE, Pixels
from vitalcheck.training.brain_tumor_network import Ensemble

OPSET = 17


def export(ensemble: Ensemble) -> bytes:
    """The ensemble as an ONNX file; batch norms are folded into the convolutions."""
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "float32.onnx")
        # The TorchScript exporter calls itself deprecated; its successor needs onnxscript.
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            ensemble.eval(),
            (torch.zeros(2, 1, SIDE, SIDE),),
            file,
            input_names=["image"],
            output_names=["probabilities"],
            dynamic_axes={"image": {0: "n"}, "probabilities": {0: "n"}},
            opset_version=OPSET,
            dynamo=False,
        )
        return _labelled(onnx.load_model(file))


def quantize(model: bytes, calibration: Pixels) -> bytes:
    """8-bit weights and activations (QDQ), calibrated on pictures [n, 1, SIDE, SIDE]."""
    with tempfile.TemporaryDirectory() as folder, _quiet():
        path = Path(folder, "int8.onnx")
        quantization.quantize_static(
            onnx.load_model_from_string(model),
            path,
            _Calibration(calibration),
            quant_format=quantization.QuantFormat.QDQ,
            op_types_to_quantize=["Conv", "Add", "Relu", "AveragePool"],
            per_channel=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
        )
        return _labelled(onnx.load_model(path))


def session(model: bytes) -> onnxruntime.InferenceSession:
    """One thread, on the CPU: as the model is served."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def run(model: bytes, images: Pixels) -> Pixels:
    """Probabilities [n, 4] of pictures [n, 1, SIDE, SIDE], 64 at a time."""
    network = session(model)
    parts = [images[at : at + 64] for at in range(0, len(images), 64)]
    answers = [np.asarray(network.run(None, {"image": part})[0]) for part in parts]
    return np.concatenate(answers)


def largest_difference(model: bytes, ensemble: Ensemble, images: Tensor) -> float:
    """The largest absolute difference between the graph's and PyTorch's probabilities."""
    with torch.inference_mode():
        expected = ensemble.eval()(images).numpy()
    return float(np.abs(run(model, images.numpy()) - expected).max())


def latency_ms(model: bytes, repeats: int) -> float:
    """Median milliseconds for one picture on one thread."""
    network, image = session(model), np.full((1, 1, SIDE, SIDE), 0.5, np.float32)
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        network.run(["probabilities"], {"image": image})
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e3


class _Calibration(quantization.CalibrationDataReader):  # type: ignore[misc]
    """Hands the calibration pictures to onnxruntime, one by one."""

    def __init__(self, images: Pixels) -> None:
        self._images = iter(images)

    def get_next(self) -> dict[str, Pixels] | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        image = next(self._images, None)
        return None if image is None else {"image": image[np.newaxis]}


def _labelled(model: onnx.ModelProto) -> bytes:
    onnx.helper.set_model_props(model, {"labels": ",".join(LABELS), "side": str(SIDE)})
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))


@contextmanager
def _quiet() -> Iterator[None]:
    """onnxruntime's quantiser advises through the root logger; there is nothing to act on."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
