"""What a conversion shuts behind itself before it opens a file: the network, other processes, and
more memory, time or disk than it was given. Linux only; elsewhere nothing is found that works.

Two ways are known, and both are taken where both work. A network namespace of its own has no
interface, not even a loopback that is up. A system-call filter (seccomp) refuses sockets, new
processes, programs and signals to others; it needs no rights, and knows x86-64 and AArch64.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Callable, Mapping, Sequence

NAMESPACE = "network namespace"
FILTER = "system-call filter"
METHODS = (NAMESPACE, FILTER)

_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_CLONE_THREAD = 0x00010000
_PR_SET_SECCOMP = 22
_PR_SET_NO_NEW_PRIVS = 38
_SECCOMP_MODE_FILTER = 2
_ALLOW = 0x7FFF0000
_REFUSE = 0x00050000 | errno.EPERM
_UNKNOWN = 0x00050000 | errno.ENOSYS  # the C library then asks for a thread by `clone`
_LOAD, _EQUALS, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_CLONE3 = 435
# By machine: the audit number; `clone`; `tgkill`, by which a process aborts; and the calls that are
# refused: socket; fork, vfork, execve, execveat; kill, tkill, rt_sigqueueinfo, rt_tgsigqueueinfo;
# ptrace, process_vm_readv, process_vm_writev, setns; io_uring_setup (424 and above are the same
# everywhere), pidfd_send_signal.
_MACHINES: Mapping[str, tuple[int, int, int, tuple[int, ...]]] = {
    "x86_64": (
        *(0xC000003E, 56, 234),
        (41, 57, 58, 59, 322, 62, 200, 129, 297, 101, 310, 311, 308, 425, 424),
    ),
    "aarch64": (
        *(0xC00000B7, 220, 131),
        (198, 221, 281, 129, 130, 138, 240, 117, 270, 271, 268, 425, 424),
    ),
}
_FOREIGN_CALLS = 0x40000000  # of x86-64's x32 interface, whose numbers are others


def set_limits(memory_bytes: int, cpu_seconds: int, file_bytes: int) -> None:
    """From here on this process has no more than this, and leaves no core dump."""
    import resource

    for what, limit in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_CPU, cpu_seconds),
        (resource.RLIMIT_FSIZE, file_bytes),
        (resource.RLIMIT_CORE, 0),
    ):
        _soft, hard = resource.getrlimit(what)
        least = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(what, (least, least))


def isolate(methods: Sequence[str]) -> tuple[str, ...]:
    """Take each of `methods` that works here; returns those. Call it while there is one thread."""
    return tuple(method for method in methods if _WAYS[method]())


def _enter_namespace() -> bool:
    """As root, or by a user namespace where the system lets everyone make one."""
    try:
        unshare = ctypes.CDLL(None).unshare
    except (AttributeError, OSError):
        return False
    return bool(unshare(_CLONE_NEWNET) == 0 or unshare(_CLONE_NEWUSER | _CLONE_NEWNET) == 0)


def _install_filter() -> bool:
    program = _program(platform.machine())
    try:
        prctl = ctypes.CDLL(None).prctl
    except (AttributeError, OSError):
        return False
    if not program:
        return False
    code = ctypes.create_string_buffer(program, len(program))
    # struct sock_fprog: a count, padding, a pointer
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(code))
    one, zero, filtering = map(ctypes.c_ulong, (1, 0, _SECCOMP_MODE_FILTER))
    return bool(
        prctl(_PR_SET_NO_NEW_PRIVS, one, zero, zero, zero) == 0
        and prctl(_PR_SET_SECCOMP, filtering, header, zero, zero) == 0
    )


_WAYS: Mapping[str, Callable[[], bool]] = {NAMESPACE: _enter_namespace, FILTER: _install_filter}


def _program(machine: str) -> bytes:
    """The filter in BPF, for this process; empty for a machine whose numbers are not known."""
    if machine not in _MACHINES:
        return b""
    audit, clone, signal_thread, refused = _MACHINES[machine]
    steps = [
        _step(_LOAD, 4),  # which machine's numbers the call uses
        _step(_EQUALS, audit, 1, 0),
        _step(_RETURN, _REFUSE),
        _step(_LOAD, 0),  # the call's number
        _step(_AT_LEAST, _FOREIGN_CALLS, 0, 1),
        _step(_RETURN, _REFUSE),
    ]
    for number in refused:
        steps += [_step(_EQUALS, number, 0, 1), _step(_RETURN, _REFUSE)]
    steps += [
        _step(_EQUALS, signal_thread, 0, 4),
        _step(_LOAD, 16),  # the first argument: the process
        _step(_EQUALS, os.getpid(), 0, 1),
        _step(_RETURN, _ALLOW),
        _step(_RETURN, _REFUSE),
        _step(_EQUALS, _CLONE3, 0, 1),  # its flags lie in memory, where no filter can look
        _step(_RETURN, _UNKNOWN),
        _step(_EQUALS, clone, 0, 3),
        _step(_LOAD, 16),  # its flags
        _step(_ANY_BIT, _CLONE_THREAD, 1, 0),
        _step(_RETURN, _REFUSE),
        _step(_RETURN, _ALLOW),
    ]
    return b"".join(steps)


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("HBBI", code, if_true, if_false, value)


def clean_environment(home: str, path: Sequence[str]) -> dict[str, str]:
    """All that the child is told: where Python's modules lie, its own directory, one thread."""
    one = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "LOKY_MAX_CPU_COUNT")
    kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
    return {
        **kept,
        **dict.fromkeys(one, "1"),
        "HOME": home,
        "TMPDIR": home,
        "LANG": "C.UTF-8",
        "PYTHONPATH": os.pathsep.join(os.path.abspath(each) for each in path),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONSAFEPATH": "1",
        "JOBLIB_MULTIPROCESSING": "0",
        "ORT_DISABLE_TELEMETRY": "1",
    }
