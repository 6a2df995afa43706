"""Children that plugins may crash: what they leave behind goes with them."""

from __future__ import annotations

import sys
import time

import psutil
import pytest

from blackbox_afx.plugins.throwaway import run_child

LEAVES_A_HELPER = """
import json, subprocess, sys, os
helper = subprocess.Popen(["sleep", "600"], stdin=subprocess.DEVNULL)
print(json.dumps({"helper": helper.pid}), flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no process groups")
def test_a_helper_that_a_plugin_leaves_behind_is_ended(tmp_path, monkeypatch):
    (tmp_path / "leaves_a_helper.py").write_text(LEAVES_A_HELPER)
    monkeypatch.syspath_prepend(tmp_path)
    answers = []
    run_child("leaves_a_helper", {}, answers.append, timeout_s=120)
    # Killed, and gone as soon as the system comes round to it; left alone it would stay for ten minutes.
    pid, deadline = answers[0]["helper"], time.monotonic() + 60
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.02)
