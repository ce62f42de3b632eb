"""What failed for want of memory is told apart, with the limit that is in the way."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from loadonce.observe.shortage import advice_for, is_out_of_memory


@pytest.mark.parametrize(
    "failure",
    [
        MemoryError("Unable to allocate 458. MiB"),
        OSError(12, "Cannot allocate memory"),
        RuntimeError("std::bad_alloc"),
        ImportError("libgfortran.so.5: failed to map segment from shared object"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"),
    ],
)
def test_every_librarys_word_for_it_is_known(failure: Exception) -> None:
    assert is_out_of_memory(failure)
    assert advice_for(failure) == "raise the limit, load fewer models, or smaller ones"


@pytest.mark.parametrize("failure", [ValueError("no"), OSError(5, "Input/output error")])
def test_what_is_something_else_gets_no_such_advice(failure: Exception) -> None:
    assert advice_for(failure) == ""


PROGRAM = """
import resource
from loadonce import Model, Registry, Source, artifact
from loadonce.errors import LoadOnceError

def double(source: Source) -> bytes:
    return bytes(source.data) * 2

class Models(Registry):
    big: Model[bytes] = artifact("big.bin", loader=double)

models = Models(root=".")
with models.loaded():  # imports what a load needs
    pass
for more in (32, 160, 1024):
    size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + more * 2**20, resource.RLIM_INFINITY))
    try:
        with models.loaded():
            print("loaded")
    except LoadOnceError as error:
        print(error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_AS does not bind elsewhere")
def test_a_limit_of_addresses_is_named_wherever_it_is_hit(locked: Callable[..., Path]) -> None:
    root = locked(big=b"x" * (64 * 2**20))
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=root, capture_output=True, text=True, check=True
    )
    _, read, to_do, _, load, to_do_too, control = done.stdout.splitlines()
    assert read == "model 'big' (big.bin): cannot be read: Cannot allocate memory"
    assert load == "model 'big' (big.bin): loading raised MemoryError: "
    for line in (to_do, to_do_too):
        assert line.startswith("  to do: raise this process's limit of ")
        assert line.endswith("iB (`ulimit -v`), load fewer models, or smaller ones")
    assert control == "loaded"
