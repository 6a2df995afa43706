"""Compile plugins that crash, hang, end the process or hold two classes' worth of nothing."""

import platform
import shutil
import subprocess
from pathlib import Path

import pytest

SOURCES = {
    "crash": "#include <stdlib.h>\n__attribute__((constructor)) static void f(void) { abort(); }\n",
    "segv": "__attribute__((constructor)) static void f(void) { *(volatile int *)0 = 1; }\n",
    "hang": "#include <unistd.h>\n__attribute__((constructor)) static void f(void) { for (;;) sleep(1); }\n",
    "leave": "#include <stdlib.h>\n__attribute__((constructor)) static void f(void) { _Exit(0); }\n",
    "empty": "int nothing;\n",
}


def compile_plugin(folder: Path, kind: str, suffix: str = ".vst3") -> Path:
    """Make a plugin of a kind: a VST3 bundle or a VST2 library."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None or platform.system() != "Linux":
        pytest.skip("needs a C compiler on Linux")
    if suffix == ".vst3":
        path = folder / f"{kind}.vst3"
        library = path / "Contents" / f"{platform.machine()}-linux" / f"{kind}.so"
    else:
        path = library = folder / f"{kind}{suffix}"
    library.parent.mkdir(parents=True, exist_ok=True)
    source = folder / f"{kind}.c"
    source.write_text(SOURCES[kind])
    subprocess.run([compiler, "-shared", "-fPIC", str(source), "-o", str(library)], check=True)
    source.unlink()
    return path
