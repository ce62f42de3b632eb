"""Look through a .pt2 archive for everything that `torch.export.load` would execute.

Read in torch 2.13: sample inputs and constants that the restricted unpickler refuses are read again
by the full one (torch/_export/serde/serialize.py, deserialize_torch_artifact); tensors marked
`use_pickle` and custom objects are unpickled (torch/export/pt2_archive/_package.py,
_load_constants); shape expressions are evaluated by `sympy.sympify`; compiled models are shared
libraries. None of these are needed for an ordinary exported network, so each is refused.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator
from typing import BinaryIO

from loadonce.artifacts import Source
from loadonce.errors import UntrustedGlobalError

# By the path below the archive's own top directory.
_TENSORS = re.compile(
    r"archive_format|archive_version|byteorder|version|\.data/[\w.]+|extra/.*"
    r"|data/weights/weight_\d+|data/constants/tensor_\d+"
)
_CONFIGS = re.compile(r"data/(weights|constants)/\w+_config\.json")
_PROGRAMS = re.compile(r"models/\w+\.json")
_SAMPLES = re.compile(r"data/sample_inputs/\w+\.pt")
_EXPRESSION = re.compile(r"(?:[\w\s+\-*/%(),<>=!&|~]|(?<=\d)\.(?=\d)|'[\w.+\-]*')*")
_CALLED = re.compile(r"([A-Za-z_]\w*)\s*\(")
_FUNCTION_NAMES = """
Abs Add And CeilDiv CeilToInt CleanDiv Eq Equality Float FloatPow FloatTrueDiv FloorDiv FloorToInt
Ge GreaterThan Gt IntTrueDiv Integer Le LessThan Lt Max Min Mod ModularIndexing Mul Ne Not Or
Piecewise Pow PowByNatural PythonMod Rational RoundDecimal RoundToInt StrictGreaterThan
StrictLessThan Symbol ToFloat TruncToFloat TruncToInt Unequality Where ceiling floor sqrt
"""
_TARGET = re.compile(
    r"torch\.ops\.[\w.]+|_operator\.[a-z_]+|math\.[a-z]\w*|torch\.sym_\w+|torch\._sym_\w+"
)


def inert_copy(source: Source) -> BinaryIO:
    """An archive of what was looked at, and of nothing else; give torch this one.

    The file itself may be an archive in two ways: with two members of one name, or another list of
    members in front, torch's reader finds others than Python's.

    Raises:
        UntrustedGlobalError: loading it could execute anything but tensor operators.
    """
    copy = io.BytesIO()
    with zipfile.ZipFile(source.open()) as archive, zipfile.ZipFile(copy, "w") as looked_at:
        for member in archive.infolist():
            content = archive.read(member)
            is_again = member.filename in looked_at.NameToInfo
            flaw = "a second content" if is_again else _flaw(member.filename, content)
            if flaw:
                raise UntrustedGlobalError(
                    "",
                    "the exported program would execute more than tensor operators",
                    path=source.name,
                    expected="tensors, plain sample inputs and torch operators",
                    found=f"{flaw} in {member.filename[:100]}",
                    hint="export the network again without custom objects, or convert it to ONNX",
                )
            looked_at.writestr(zipfile.ZipInfo(member.filename), content)
    copy.seek(0)
    return copy


def _flaw(member: str, content: bytes) -> str:
    name = member.partition("/")[2]
    if _TENSORS.fullmatch(name):
        return ""
    if _CONFIGS.fullmatch(name):
        pickled = any(_values(json.loads(content), "use_pickle"))
        return "a pickled tensor" if pickled else ""
    if _PROGRAMS.fullmatch(name):
        return _flaw_of_program(json.loads(content))
    if _SAMPLES.fullmatch(name):
        return _flaw_of_sample(content)
    return "an unknown member"


def _flaw_of_program(program: object) -> str:
    for expression in _values(program, "expr_str"):
        text = str(expression)
        if not _EXPRESSION.fullmatch(text) or "__" in text:
            return "an expression that is not arithmetic"
        if not set(_FUNCTION_NAMES.split()).issuperset(_CALLED.findall(text)):
            return "an expression that calls a function"
    for target in _values(program, "target"):
        if isinstance(target, str) and "." in target and not _TARGET.fullmatch(target):
            return f"the operator {target[:100]!r}"
    return ""


def _flaw_of_sample(content: bytes) -> str:
    import torch

    try:
        if content:
            torch.load(io.BytesIO(content), weights_only=True)
    except Exception:
        return "a sample input that is not made of tensors"
    return ""


def _values(document: object, key: str) -> Iterator[object]:
    """All values of `key`, at any depth."""
    todo = [document]
    while todo:
        item = todo.pop()
        if isinstance(item, dict):
            if key in item:
                yield item[key]
            todo += item.values()
        elif isinstance(item, list):
            todo += item
