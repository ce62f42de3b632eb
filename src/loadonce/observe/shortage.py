"""Whether something failed for want of memory, and what to do about it."""

from __future__ import annotations

import errno

from .memory import format_bytes

# As the C++ allocator, PyTorch and the dynamic loader tell it, by whatever class of error.
_TOLD = ("bad_alloc", "can't allocate memory", "failed to map segment", "cannot allocate memory")


def advice_for(failure: BaseException) -> str:
    """What to do about it; "" where something else failed.

    Names the limit of this process's addresses, if there is one.
    """
    if not is_out_of_memory(failure):
        return ""
    limit = _address_limit()
    which = f"this process's limit of {format_bytes(limit)} (`ulimit -v`)" if limit else "the limit"
    return f"raise {which}, load fewer models, or smaller ones"


def is_out_of_memory(failure: BaseException) -> bool:
    """Whether the system gave no memory, or no addresses: to an object, a file or a library."""
    if isinstance(failure, MemoryError) or getattr(failure, "errno", None) == errno.ENOMEM:
        return True
    text = str(failure)
    return any(told in text for told in _TOLD)


def _address_limit() -> int:
    """In bytes; 0 for none, and where the system knows of none."""
    try:
        import resource
    except ImportError:  # pragma: no cover - Windows
        return 0
    soft, _hard = resource.getrlimit(resource.RLIMIT_AS)
    return 0 if soft == resource.RLIM_INFINITY else soft
