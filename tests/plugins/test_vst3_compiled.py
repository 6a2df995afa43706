"""Plugins compiled here that crash, hang, quit, chatter, or hold two plugins with separate controllers."""

from __future__ import annotations

import math
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from blackbox_afx.errors import PluginCrash, PluginError, PluginHang
from blackbox_afx.plugins.vst3 import read_vst3, single_class

COMPILER = shutil.which("cc") or shutil.which("gcc")

pytestmark = [
    pytest.mark.skipif(COMPILER is None, reason="needs a C compiler (cc or gcc) to build plugins that misbehave"),
    pytest.mark.skipif(sys.platform != "linux", reason="builds Linux bundles"),
]

HEAD = """
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
_Bool ModuleEntry(void *library) { return library != 0; }
_Bool ModuleExit(void) { return 1; }
"""

PAIR = Path(__file__).with_name("test_vst3_pair.c").read_text()


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    """Give a function that compiles a source into a bundle of that name."""
    folder = tmp_path_factory.mktemp("vst3")

    def compiled(name: str, source: str) -> Path:
        bundle = folder / f"{name}.vst3"
        binary = bundle / "Contents" / f"{platform.machine()}-linux" / f"{name}.so"
        if not binary.exists():
            binary.parent.mkdir(parents=True)
            code = folder / f"{name}.c"
            code.write_text(source)
            command = [str(COMPILER), "-shared", "-fPIC", "-w", "-o", str(binary), str(code), "-lm"]
            subprocess.run(command, check=True)
        return bundle

    return compiled


def test_a_crash_names_the_signal_and_the_last_words(build):
    source = HEAD + 'void *GetPluginFactory(void) { fprintf(stderr, "no licence\\n"); return *(void **)8; }'
    path = build("Crash", source)
    with pytest.raises(PluginCrash, match=r"SIGSEGV; its last words: no licence") as caught:
        read_vst3(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_crash_while_the_library_loads(build):
    path = build("Early", HEAD + "__attribute__((constructor)) static void early(void) { abort(); }")
    with pytest.raises(PluginCrash, match="SIGABRT"):
        read_vst3(path)


@pytest.mark.parametrize("status", [0, 3])
def test_a_plugin_that_quits_the_process_is_a_crash(build, status):
    path = build(f"Quit{status}", HEAD + f"void *GetPluginFactory(void) {{ _exit({status}); }}")
    with pytest.raises(PluginCrash, match="exit status 3" if status else "ended the process"):
        read_vst3(path)


def test_a_hang_ends_in_time_and_leaves_no_process(build):
    # The plugin starts a helper, which has to go too. The odd time tells this run's helper from that of another
    # run on the same machine.
    nap = f"601.{os.getpid()}"
    path = build("Hang", HEAD + f'void *GetPluginFactory(void) {{ system("sleep {nap}"); for (;;) pause(); }}')
    with pytest.raises(PluginHang, match=r"no answer within 1 s"):
        read_vst3(path, timeout_s=1.0)

    def left() -> list[list[str]]:
        commands = [process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"])]
        return [command for command in commands if nap in command or str(path) in command]

    # The helper would stay for ten minutes.
    deadline = time.monotonic() + 60
    while left():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_helper_left_behind_does_not_delay_the_answer(build):
    path = build("Daemon", PAIR.replace("return &THE_FACTORY", 'system("sleep 600.125 &"); return &THE_FACTORY'))
    # It holds the child's standard output for ten minutes; whoever waited for its end would run into the limit.
    assert len(read_vst3(path, timeout_s=120)) == 2


REFUSES = "_Bool ModuleEntry(void *library) { return 0; } void *GetPluginFactory(void) { return 0; }"


@pytest.mark.parametrize(
    ("name", "source", "message"),
    [
        ("Library", "int answer(void) { return 42; }", "without GetPluginFactory"),
        ("Empty", HEAD + "void *GetPluginFactory(void) { return 0; }", "no plugin factory"),
        ("Denied", REFUSES, "says no"),
        (
            "Idle",
            PAIR.replace("classes(void *self) { return 3; }", "classes(void *self) { return 0; }"),
            "no audio",
        ),
        ("Shy", PAIR.replace("return host ? 0 : 2", "return 1"), "First refuses to start"),
    ],
)
def test_libraries_that_are_no_working_vst3(build, name, source, message):
    with pytest.raises(PluginError, match=message) as caught:
        read_vst3(build(name, source))
    assert type(caught.value) is PluginError


def test_two_plugins_in_a_bundle_with_separate_controllers(build):
    classes = read_vst3(build("Pair", PAIR))
    assert [entry.name for entry in classes] == ["First", "Other"]
    assert classes[0].class_id == b"FirstPluginClass".hex().upper()
    frequency, level, mode = classes[1].parameters
    assert [p.param_id for p in classes[1].parameters] == [4000000000, 7, 1234567]
    assert (frequency.title, frequency.units, frequency.short_title) == ("Freqüncy", "Hz", "x")
    assert frequency.plain_samples == tuple((k / 8, pytest.approx(20 * 1000 ** (k / 8))) for k in range(9))
    assert level.plain_minimum == -math.inf
    assert level.readonly
    assert not frequency.readonly
    assert (mode.steps, mode.is_list, mode.bypass, mode.default, mode.unit_id) == (2, True, True, 0.5, 2)
    assert mode.texts == ("mode 0", "mode 1", "mode 2")
    assert frequency.texts == ()
    with pytest.raises(PluginError, match="no name was given; name one of: First, Other"):
        single_class(classes)
    assert single_class(classes, "Other") is classes[1]


def test_the_other_host_finds_the_same_two_plugins(build):
    from pedalboard import VST3Plugin

    path = build("Pair", PAIR)
    assert VST3Plugin.get_plugin_names_for_file(str(path)) == [entry.name for entry in read_vst3(path)]


def test_the_screen_is_hidden_from_the_plugin(build, monkeypatch):
    monkeypatch.setenv("DISPLAY", ":77")
    source = HEAD + 'void *GetPluginFactory(void) { if (getenv("DISPLAY")) abort(); return 0; }'
    with pytest.raises(PluginError, match="no plugin factory"):
        read_vst3(build("Blind", source))
    assert os.environ["DISPLAY"] == ":77"
