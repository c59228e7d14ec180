"""Work as somebody who may not write everywhere, also where the tests run as root."""

from __future__ import annotations

import ctypes
import os
import pickle
import struct
import warnings
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
_CAPABILITIES_3 = 0x20080522


def unprivileged(work: Callable[[], T]) -> T:
    """Return what *work* returns in a child process that file permissions hold for."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the child uses no other thread
        child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            if os.geteuid() == 0:
                _drop_capabilities()
            with os.fdopen(writing, "wb") as out:
                pickle.dump(work(), out)
        finally:
            os._exit(0)  # without a result the parent says so
    os.close(writing)
    with os.fdopen(reading, "rb") as found:
        result = found.read()
    os.waitpid(child, 0)
    return pickle.loads(result)


def _drop_capabilities() -> None:
    """Stay root by name, without root's right to pass over permissions."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = struct.pack("Ii", _CAPABILITIES_3, 0)
    if libc.capset(header, bytes(24)) != 0:
        raise OSError(ctypes.get_errno(), "capset")
