"""Keep plugins from changing how this process calculates."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def standard_floats() -> Iterator[None]:
    """Give the C library's default floating-point environment to what runs inside, and the old one back after it.

    A plugin that was built with ``-ffast-math`` makes its thread flush denormals to zero from the moment it is loaded.
    Numpy and torch would then give other numbers than in a process without plugins, hypothesis refuses to draw
    floats, and Faust's compiler ends the process on an assertion of its interval arithmetic. Does nothing outside
    Linux.
    """
    if not sys.platform.startswith("linux"):
        yield
        return
    library = ctypes.CDLL("libm.so.6")
    kept = ctypes.create_string_buffer(256)  # fenv_t has 32 bytes on x86-64, 8 on aarch64
    library.fegetenv(kept)
    library.fesetenv(ctypes.c_void_p(-1))  # glibc's FE_DFL_ENV
    try:
        yield
    finally:
        library.fesetenv(kept)
