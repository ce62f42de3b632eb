"""A source shows its verified bytes as buffer, as file and as path."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from loadonce.artifacts import Source, read_verified

CSV = b"a,b\n1,2\n3,4\n"


@pytest.fixture
def source(root: Any) -> Source:
    root.write("sub/Table.CSV", CSV)
    return read_verified(root.path, "sub/Table.CSV", root.lock("sub/Table.CSV"))


def test_it_tells_what_it_is(source: Source) -> None:
    assert (source.name, source.suffix, source.size) == ("sub/Table.CSV", ".csv", 12)
    assert source.version == source.sha256[:12]
    assert repr(source) == f"<Source sub/Table.CSV {source.sha256[:12]}, 12 bytes>"
    source.close()


def test_buffer_file_and_path_show_the_same_bytes(source: Source) -> None:
    assert bytes(source.data) == CSV
    assert source.open().read() == CSV
    assert Path(source).read_bytes() == CSV
    with open(source, "rb") as file:
        assert file.read() == CSV
    assert str(source) == os.fspath(source)
    source.close()


def test_libraries_that_want_a_path_take_it(source: Source) -> None:
    import pandas as pd

    assert pd.read_csv(source).to_dict("list") == {"a": [1, 3], "b": [2, 4]}
    assert pd.read_csv(source.open())["a"].tolist() == [1, 3]
    source.close()


@pytest.mark.usefixtures("open_fds")
def test_a_closed_source_says_so(root: Any) -> None:
    root.write("a")
    source = read_verified(root.path, "a", root.lock("a"))
    source.close()
    source.close()
    for look in (lambda: source.data, source.open, lambda: os.fspath(source)):
        with pytest.raises(ValueError, match="source of 'a' is closed"):
            look()


@pytest.mark.usefixtures("open_fds")
def test_several_files_are_a_private_directory(root: Any) -> None:
    for name in ("net/model.onnx", "net/data/weights.bin"):
        root.write(name, name.encode())
    lock = root.lock("net/model.onnx", "net/data/weights.bin")
    source = read_verified(root.path, "net", lock)
    assert repr(source).endswith("2 files>")
    directory = Path(source)
    assert directory.stat().st_mode & 0o777 == 0o700
    assert (directory / "data" / "weights.bin").read_bytes() == b"net/data/weights.bin"
    assert os.fspath(source) == str(directory)
    with pytest.raises(ValueError, match="has several files"):
        source.data
    source.close()
    assert not directory.exists()
