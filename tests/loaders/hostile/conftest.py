"""Hostile pickles: each, if unpickled naively, makes a directory, the marker."""

from __future__ import annotations

import copyreg
import io
import os
import pickle
import pickletools
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import joblib
import numpy as np
import pytest

MARKER = "executed"


class Call:
    """Pickles as a call of `function` with `arguments`."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.reduced = function, arguments

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self.reduced


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def short(value: str) -> bytes:
    return b"\x8c" + bytes([len(value)]) + value.encode()


def call(module: str, name: str, *arguments: bytes, protocol: int = 2) -> bytes:
    """GLOBAL, then REDUCE with already pickled arguments."""
    head = b"\x80" + bytes([protocol]) if protocol >= 2 else b""
    return head + f"c{module}\n{name}\n".encode() + b"(" + b"".join(arguments) + b"tR."


# Calls that make the marker directory M, as (module, name, arguments).
CALLS: dict[str, Callable[[str], tuple[str, str, list[bytes]]]] = {
    "os.mkdir": lambda m: ("os", "mkdir", [text(m)]),
    "posix.mkdir": lambda m: ("posix", "mkdir", [text(m)]),
    "os.makedirs": lambda m: ("os", "makedirs", [text(m)]),
    "os.system": lambda m: ("os", "system", [text(f"mkdir {m}")]),
    "posix.system": lambda m: ("posix", "system", [text(f"mkdir {m}")]),
    "os.popen": lambda m: ("os", "popen", [text(f"mkdir {m}")]),
    "subprocess.Popen": lambda m: (
        "subprocess",
        "Popen",
        [b"]", text("mkdir"), b"a", text(m), b"a"],
    ),
    "subprocess.call": lambda m: ("subprocess", "call", [b"]", text("mkdir"), b"a", text(m), b"a"]),
    "subprocess.getoutput": lambda m: ("subprocess", "getoutput", [text(f"mkdir {m}")]),
    "builtins.eval": lambda m: ("builtins", "eval", [text(f"__import__('os').mkdir({m!r})")]),
    "builtins.exec": lambda m: ("builtins", "exec", [text(f"import os; os.mkdir({m!r})")]),
    "__builtin__.eval": lambda m: ("__builtin__", "eval", [text(f"__import__('os').mkdir({m!r})")]),
    "__builtin__.exec": lambda m: ("__builtin__", "exec", [text(f"import os; os.mkdir({m!r})")]),
    "pathlib.os.mkdir": lambda m: ("pathlib", "os.mkdir", [text(m)]),
    "shutil.os.mkdir": lambda m: ("shutil", "os.mkdir", [text(m)]),
    "distutils-like mkpath": lambda m: ("setuptools._distutils.dir_util", "mkpath", [text(m)]),
    "timeit.timeit": lambda m: (
        "timeit",
        "timeit",
        [
            text(f"os.makedirs({m!r}, exist_ok=True)"),
            text("import os"),
            b"cbuiltins\nlen\n",
            b"K\x01",
        ],
    ),
    "cProfile.run": lambda m: ("cProfile", "run", [text(f"import os; os.mkdir({m!r})")]),
    "code.interact": lambda m: ("code", "InteractiveInterpreter", []),
    "runpy.run_path": lambda m: ("runpy", "run_path", [text(f"{m}.py")]),
    "runpy._run_code": lambda m: (
        "runpy",
        "_run_code",
        [text(f"import os; os.mkdir({m!r})"), b"}"],
    ),
    "pip.main": lambda m: ("pip", "main", [b"]", text("--version"), b"a"]),
    "importlib.import_module": lambda m: ("importlib", "import_module", [text("antigravity")]),
    "builtins.__import__": lambda m: ("builtins", "__import__", [text("antigravity")]),
    "builtins.compile": lambda m: ("builtins", "compile", [text("1"), text("x"), text("eval")]),
    "builtins.open": lambda m: ("builtins", "open", [text(m), text("w")]),
    "io.open": lambda m: ("io", "open", [text(m), text("w")]),
    "_io.FileIO": lambda m: ("_io", "FileIO", [text(m), text("w")]),
    "logging.FileHandler": lambda m: ("logging", "FileHandler", [text(m)]),
    "zipfile.ZipFile": lambda m: ("zipfile", "ZipFile", [text(m), text("w")]),
    "sqlite3.connect": lambda m: ("sqlite3", "connect", [text(m)]),
    "shutil.copytree": lambda m: ("shutil", "copytree", [text("/proc/self/net"), text(m)]),
    "tempfile.mkdtemp": lambda m: ("tempfile", "mkdtemp", [text(""), text("x"), text(m + "/..")]),
    "ctypes.CDLL": lambda m: ("ctypes", "CDLL", [text(f"{m}.so")]),
    "numpy.f2py": lambda m: (
        "numpy.f2py.crackfortran",
        "myeval",
        [text(f"__import__('os').mkdir({m!r})")],
    ),
    "numpy.testing.runstring": lambda m: (
        "numpy.testing._private.utils",
        "runstring",
        [text(f"import os; os.mkdir({m!r})"), b"}"],
    ),
    "numpy.testing.measure": lambda m: (
        "numpy.testing",
        "measure",
        [text(f"__import__('os').makedirs({m!r}, exist_ok=True)")],
    ),
    "numpy._ufunc_reconstruct": lambda m: (
        "numpy._core",
        "_ufunc_reconstruct",
        [text("os"), text("system")],
    ),
    "numpy.savetxt": lambda m: ("numpy", "savetxt", [text(m), b"]K\x01a"]),
    "numpy.save": lambda m: ("numpy", "save", [text(m), b"K\x01"]),
    "numpy.memmap": lambda m: ("numpy", "memmap", [text(m), text("u1"), text("w+"), b"K\x00K\x08"]),
    "numpy.load": lambda m: ("numpy", "load", [text(f"{m}.npy"), b"N\x88"]),
    "numpy.vectorize": lambda m: ("numpy", "vectorize", [b"cos\nmkdir\n"]),
    "numpy.fromfunction": lambda m: ("numpy", "fromfunction", [b"cos\nmkdir\n", b"K\x01\x85"]),
    "numpy DataSource": lambda m: ("numpy.lib._datasource", "DataSource", [text(m)]),
    "scipy FunctionMaker": lambda m: ("scipy._lib.decorator", "FunctionMaker", [b"cos\nmkdir\n"]),
    "scipy.stats rv": lambda m: ("scipy.stats._distn_infrastructure", "rv_continuous", []),
    "joblib.load": lambda m: ("joblib.numpy_pickle", "load", [text(f"{m}.joblib")]),
    "joblib.Memory": lambda m: ("joblib.memory", "Memory", [text(m)]),
    "joblib.Parallel": lambda m: ("joblib.parallel", "Parallel", []),
    "sklearn Parallel": lambda m: ("sklearn.utils.parallel", "Parallel", []),
    "sklearn _FuncWrapper": lambda m: ("sklearn.utils.parallel", "_FuncWrapper", [b"cos\nmkdir\n"]),
    "sklearn.datasets": lambda m: ("sklearn.datasets", "get_data_home", [text(m)]),
    "sklearn.externals": lambda m: ("sklearn.externals.conftest", "Any", []),
    "sklearn.callback": lambda m: ("sklearn.callback._scoring_monitor", "ScoringMonitor", []),
    "pandas.read_pickle": lambda m: ("pandas", "read_pickle", [text(f"{m}.pkl")]),
    "pandas.eval": lambda m: ("pandas", "eval", [text("@__builtins__")]),
    "pandas.HDFStore": lambda m: ("pandas", "HDFStore", [text(m)]),
    "torch.load": lambda m: ("torch", "load", [text(f"{m}.pt")]),
    "torch.hub": lambda m: ("torch.hub", "load", [text("a/b"), text("c")]),
    "pickle.loads": lambda m: (
        "pickle",
        "loads",
        [b"C" + bytes([len(call("os", "mkdir", text(m)))]) + call("os", "mkdir", text(m))],
    ),
    "_pickle.loads": lambda m: (
        "_pickle",
        "loads",
        [b"C" + bytes([len(call("os", "mkdir", text(m)))]) + call("os", "mkdir", text(m))],
    ),
    "cloudpickle": lambda m: ("cloudpickle.cloudpickle", "_make_function", []),
    "marshal.loads": lambda m: ("marshal", "loads", [b"C\x01N"]),
    "types.FunctionType": lambda m: ("types", "FunctionType", []),
    "builtins.type": lambda m: ("builtins", "type", [text("T"), b")", b"}"]),
    "builtins.map": lambda m: ("builtins", "map", [b"cos\nmkdir\n", b"]", text(m), b"a"]),
    "builtins.getattr": lambda m: ("builtins", "getattr", [b"cos\nmkdir\n", text("__self__")]),
    "functools.partial": lambda m: ("functools", "partial", [b"cos\nmkdir\n", text(m)]),
    "functools.reduce": lambda m: (
        "functools",
        "reduce",
        [b"cos\nmkdir\n", b"]", text(m), b"aK\x00a"],
    ),
    "operator.attrgetter": lambda m: ("operator", "attrgetter", [text("system")]),
    "operator.methodcaller": lambda m: ("operator", "methodcaller", [text("mkdir"), text(m)]),
    "operator.itemgetter": lambda m: ("operator", "itemgetter", [b"K\x01"]),
    "itertools.starmap": lambda m: (
        "itertools",
        "starmap",
        [b"cos\nmkdir\n", b"](", text(m), b"ta"],
    ),
    "copyreg.add_extension": lambda m: (
        "copyreg",
        "add_extension",
        [text("os"), text("system"), b"K\xf1"],
    ),
    "copyreg.pickle": lambda m: ("copyreg", "pickle", [b"cbuiltins\nint\n", b"cos\nsystem\n"]),
    "asyncio subprocess": lambda m: ("asyncio", "create_subprocess_shell", [text(f"mkdir {m}")]),
    "multiprocessing": lambda m: ("multiprocessing.connection", "Client", [text(m)]),
    "signal.alarm": lambda m: ("signal", "alarm", [b"K\x00"]),
    "sys.settrace": lambda m: ("sys", "settrace", [b"cos\nmkdir\n"]),
    "socket.socket": lambda m: ("socket", "socket", []),
    "urllib": lambda m: ("urllib.request", "urlopen", [text("http://127.0.0.1:1/")]),
    "webbrowser": lambda m: ("webbrowser", "open", [text("about:blank")]),
    "unittest": lambda m: ("unittest", "main", []),
    "pdb.run": lambda m: ("pdb", "run", [text("1")]),
    "doctest": lambda m: ("doctest", "debug_script", [text("1")]),
    "this package": lambda m: ("loadonce.loaders.gate", "_import", [text("os"), text("system")]),
}
# Those that make the marker at once, without network, console or files of their own.
FIRE = {
    "os.mkdir",
    "posix.mkdir",
    "os.makedirs",
    "os.system",
    "posix.system",
    "subprocess.call",
    "subprocess.getoutput",
    "builtins.eval",
    "builtins.exec",
    "cProfile.run",
    "runpy._run_code",
    "builtins.open",
    "io.open",
    "_io.FileIO",
    "logging.FileHandler",
    "zipfile.ZipFile",
    "sqlite3.connect",
    "numpy.f2py",
    "numpy.testing.runstring",
    "numpy.memmap",
    "numpy.testing.measure",
    "pickle.loads",
    "_pickle.loads",
    "functools.reduce",
}


def shapes(marker: str) -> Iterator[tuple[str, bytes]]:
    """The same call, os.mkdir, through every opcode and wrapping that can lead to one."""
    m = text(marker)
    evil = Call(os.mkdir, marker)
    for protocol in range(6):
        yield f"protocol {protocol}", pickle.dumps(evil, protocol)
        yield f"in a list, protocol {protocol}", pickle.dumps([1, {"x": (evil,)}], protocol)
    yield "INST", b"(S'" + marker.encode() + b"'\nios\nmkdir\n."
    yield "OBJ", b"(cos\nmkdir\n" + m + b"o."
    yield "NEWOBJ", b"\x80\x02csubprocess\nPopen\n](" + text("mkdir") + m + b"e\x85\x81."
    yield (
        "NEWOBJ_EX",
        (
            b"\x80\x04"
            + short("subprocess")
            + short("Popen")
            + b"\x93]("
            + text("mkdir")
            + m
            + b"e\x85}\x92."
        ),
    )
    yield "STACK_GLOBAL", b"\x80\x04" + short("os") + short("mkdir") + b"\x93" + m + b"\x85R."
    yield (
        "STACK_GLOBAL with a dotted name",
        (b"\x80\x04" + short("shutil") + short("os.mkdir") + b"\x93" + m + b"\x85R."),
    )
    yield (
        "STACK_GLOBAL from an allowed package",
        (
            b"\x80\x04"
            + short("sklearn.pipeline")
            + short("joblib.os.mkdir")
            + b"\x93"
            + m
            + b"\x85R."
        ),
    )
    yield (
        "STACK_GLOBAL through a class",
        (
            b"\x80\x04"
            + short("sklearn.pipeline")
            + short("Pipeline.__init__.__globals__")
            + b"\x93"
            + m
            + b"\x85R."
        ),
    )
    yield (
        "STACK_GLOBAL, memoised in between",
        (
            b"\x80\x04"
            + short("mkdir")
            + b"\x94"
            + short("os")
            + b"\x94h\x01h\x00\x93"
            + m
            + b"\x85R."
        ),
    )
    yield (
        "names on the stack overwritten by memo",
        (
            b"\x80\x04"
            + short("dict")
            + b"q\x000"
            + short("mkdir")
            + b"q\x000"
            + short("os")
            + b"h\x00\x93"
            + m
            + b"\x85R."
        ),
    )
    yield "a GLOBAL that is dropped", b"cos\nmkdir\n0" + pickle.dumps(evil, 2)[2:]
    yield "before STOP of a list", b"]" + call("os", "mkdir", m, protocol=0)[:-1] + b"a."
    yield (
        "BUILD with __setstate__",
        (
            b"ccollections\nOrderedDict\n)\x81}X\x0c\x00\x00\x00__setstate__cos\nmkdir\nsb"
            + m
            + b"b."
        ),
    )
    yield (
        "BUILD of an allowed class",
        (
            b"\x80\x02csklearn.pipeline\nPipeline\n)\x81}X\x0c\x00\x00\x00__setstate__cos\nmkdir\nsb"
            + m
            + b"b."
        ),
    )
    yield "as key of a dict", b"}" + call("os", "mkdir", m, protocol=0)[:-1] + b"K\x01s."
    yield (
        "APPENDS to a class with its own",
        (
            b"\x80\x02csklearn.pipeline\nPipeline\n)\x81}X\x06\x00\x00\x00extendcos\nmkdir\nsb("
            + m
            + b"e."
        ),
    )
    yield "with trailing bytes", pickle.dumps(evil, 4) + b"trailing"
    yield (
        "after another pickle's frame",
        pickle.dumps([1] * 1000, 4)[:-1] + b"0" + (call("os", "mkdir", m)[2:]),
    )
    yield "one frame", pickletools.optimize(pickle.dumps(evil, 4))
    yield "a lying frame", b"\x80\x04\x95" + struct.pack("<Q", 10**6) + call("os", "mkdir", m)[2:]
    yield "registered extension", b"\x80\x02\x82\xf0" + m + b"\x85R."
    yield "registered extension, two bytes", b"\x80\x02\x83\xf0\x00" + m + b"\x85R."
    yield "registered extension, four bytes", b"\x80\x02\x84\xf0\x00\x00\x00" + m + b"\x85R."
    yield "persistent id", b"P" + marker.encode() + b"\n."
    yield "persistent id on the stack", m + b"Q."
    nested = np.array([evil, None], dtype=object)
    record = np.array([(1, evil)], dtype=[("n", "i8"), ("o", "O")])
    for compress in (0, 3, "gzip", "bz2", "lzma", "xz"):
        for name, value in (("object", nested), ("record", record), ("plain", evil)):
            file = io.BytesIO()
            joblib.dump({"x": np.arange(3), "y": value}, file, compress=compress)
            yield f"joblib, {name}, compress={compress}", file.getvalue()
    for protocol in range(6):
        file = io.BytesIO()
        joblib.dump([np.arange(3), nested], file, protocol=protocol)
        yield f"joblib, nested, protocol {protocol}", file.getvalue()
    np.save(f"{marker}.npy", nested)
    yield (
        "joblib's old wrapper, which reads other files",
        (
            b"\x80\x02cjoblib.numpy_pickle_compat\nNDArrayWrapper\n)\x81}(X\x08\x00\x00\x00filename"
            + text(f"{marker}.npy")
            + b"X\x08\x00\x00\x00subclasscnumpy\nndarray\nX\x0a\x00\x00\x00allow_mmap\x89ub."
        ),
    )


def corpus(marker: str) -> dict[str, bytes]:
    made = dict(shapes(marker))
    for name, build in CALLS.items():
        module, attribute, arguments = build(marker)
        made[f"calls {name}"] = call(module, attribute, *arguments)
        if module.startswith("__"):
            continue
        made[f"calls {name}, protocol 4"] = (
            b"\x80\x04" + short(module) + short(attribute) + b"\x93(" + b"".join(arguments) + b"tR."
        )
    return made


@pytest.fixture
def hostile(marker: str) -> dict[str, bytes]:
    """The samples by name."""
    return corpus(marker)


@pytest.fixture
def surely_fires() -> Callable[[str], bool]:
    """Whether a sample of that name makes the marker when it is unpickled naively here."""

    def tell(name: str) -> bool:
        called = name.removeprefix("calls ").removesuffix(", protocol 4")
        return not name.startswith("calls ") or called in FIRE

    return tell


@pytest.fixture
def hostile_call(marker: str) -> Call:
    """Pickles as a call that makes the marker."""
    return Call(os.mkdir, marker)


@pytest.fixture
def marker(tmp_path: Path) -> str:
    return str(tmp_path / MARKER)


@pytest.fixture
def _extension() -> Iterator[None]:
    """A program has registered os.mkdir as an extension, and used it: pickle has cached it."""
    copyreg.add_extension("posix", "mkdir", 240)
    assert pickle.loads(b"\x80\x02\x82\xf0.") is os.mkdir
    yield
    copyreg.remove_extension("posix", "mkdir", 240)
