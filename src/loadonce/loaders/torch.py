"""PyTorch: state dicts by the restricted unpickler, TorchScript, and exported programs."""

from __future__ import annotations

import pickle
import re

from loadonce.artifacts import Source
from loadonce.errors import LoaderFailedError
from loadonce.loaders.base import Loader
from loadonce.loaders.torchexport import inert_copy

_NOT_ALLOWED = re.compile(r"GLOBAL (\S+)")
_SAVE_STATE = (
    "save `model.state_dict()` and load it into your class with a `loader=` function, or save the "
    "whole model with `torch.export.save` (.pt2) or `torch.jit.save` (.torchscript)"
)


def read_weights(source: Source, *, device: str = "cpu") -> object:
    """What `torch.save` wrote, if it is made of tensors and plain values.

    Always with `weights_only=True`: a state dict is what to save. A whole pickled module is
    refused, and there is no way to allow it.
    """
    import torch

    try:
        return torch.load(source.open(), map_location=device, weights_only=True)
    except pickle.UnpicklingError as exc:
        if (found := _NOT_ALLOWED.search(str(exc))) is None:
            raise
        # Not in torch's words: they advise to load it without a restriction.
        raise LoaderFailedError(
            "",
            "the file holds more than tensors and plain values",
            path=source.name,
            found=found[1],
            hint=_SAVE_STATE,
        ) from exc


def read_script(source: Source, *, device: str = "cpu") -> object:
    """A `torch.jit.ScriptModule` in evaluation mode. TorchScript is its own small language."""
    import torch

    load = torch.jit.load
    return load(source.open(), map_location=device).eval()  # type: ignore[no-untyped-call]


def read_exported(source: Source) -> object:
    """A `torch.export.ExportedProgram`; call its `.module()`.

    `torch.export.load` itself falls back to full unpickling, evaluates expressions and loads native
    code, so an archive that has any of these is refused, and torch is given what was looked at.
    """
    import torch

    return torch.export.load(inert_copy(source))


def _loader(name: str, read: object, suffixes: tuple[str, ...], copies: int = 1) -> Loader:
    return Loader(
        name=name,
        read=read,  # type: ignore[arg-type]  # each has options of its own
        suffixes=suffixes,
        extra="torch",
        modules=("torch",),
        libraries=("torch",),
        holds_gil=False,
        fork=lambda options: "inherit" if options.get("device", "cpu") == "cpu" else "after",
        estimate=lambda source: copies * source.size,
    )


WEIGHTS = _loader("torch", read_weights, (".pt", ".pth"))
SCRIPT = _loader("torchscript", read_script, (".torchscript",))
EXPORTED = _loader("torch-export", read_exported, (".pt2",), copies=2)
