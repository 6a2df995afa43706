"""What every test shares: which plugins are there, one thread a process, no outside settings.

A test that needs plugins carries a marker; where they are missing it is skipped with the reason, or fails
where AFX_REQUIRE_PLUGINS=1 says that none may be left out.
"""

from __future__ import annotations

import ctypes
import functools
import os
import shutil
import signal
import sys
from pathlib import Path

# Two cores run two workers; a library that starts two threads in each makes all of them slower.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes says how busy the machine is, and nothing about the code.
settings.register_profile("steady", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")

# A shell starts what runs in the background with interrupts ignored, and programs under test would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

VST3 = (Path("/usr/lib/vst3"), Path.home() / ".vst3")
VST2 = (Path("/usr/lib/vst"), Path.home() / ".vst")
LV2 = (Path("/usr/lib/lv2"), Path.home() / ".lv2")

MARKERS = {
    "zam": "needs Debian's zam-plugins (VST3, VST2 and LV2)",
    "lv2": "needs lsp-plugins-lv2, calf-plugins, x42-plugins and dragonfly-reverb-lv2",
    "ardour": "needs the Ardour DAW",
    "slow": "takes more than five seconds",
}


def _any(folders: tuple[Path, ...], pattern: str) -> bool:
    return any(True for folder in folders for _ in folder.glob(pattern))


@functools.cache
def missing() -> dict[str, str]:
    """Say for each marker whose plugins are not there how to get them."""
    found = {
        "zam": (
            _any(VST3, "ZamEQ2.vst3") and _any(VST2, "ZamEQ2-vst.so") and _any(LV2, "ZamEQ2.lv2"),
            "apt-get install zam-plugins",
        ),
        "lv2": (
            all(_any(LV2, name) for name in ("lsp-plugins.lv2", "calf.lv2", "fil4.lv2", "DragonflyHallReverb.lv2")),
            "apt-get install lsp-plugins-lv2 calf-plugins x42-plugins dragonfly-reverb-lv2",
        ),
        "ardour": (
            any(shutil.which(name) for name in ("ardour", "ardour7", "ardour8")),
            "apt-get install ardour",
        ),
    }
    return {marker: how for marker, (there, how) in found.items() if not there}


def pytest_configure(config: pytest.Config) -> None:
    # Here and not in pyproject.toml: the tests also run from a copy, against an installed wheel.
    for name, meaning in MARKERS.items():
        config.addinivalue_line("markers", f"{name}: {meaning}")


def pytest_report_header(config: pytest.Config) -> list[str]:
    return [f"left out: tests marked {marker} ({how})" for marker, how in missing().items()]


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker, how in missing().items():
        if item.get_closest_marker(marker):
            reason = f"{MARKERS[marker]}: {how}"
            if os.environ.get("AFX_REQUIRE_PLUGINS", "") not in ("", "0"):
                pytest.fail(f"AFX_REQUIRE_PLUGINS is set, and this {reason}", pytrace=False)
            pytest.skip(reason)


@pytest.fixture(autouse=True)
def _floats() -> None:
    """Start each test with the default floating-point environment.

    Tests that load a plugin past this package's hosts, to compare with them, leave the thread flushing denormals.
    """
    if sys.platform.startswith("linux"):
        ctypes.CDLL("libm.so.6").fesetenv(ctypes.c_void_p(-1))


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the developer's own shelf and debug switch out of the tests."""
    monkeypatch.delenv("AFX_SHELF", raising=False)
    monkeypatch.delenv("AFX_DEBUG", raising=False)


@pytest.fixture(scope="session")
def demo_audio() -> Path:
    """The folder of the shipped CC0 clips."""
    from blackbox_afx import shelf

    return shelf.demo_audio()
