"""Run a module of this package in a process that a plugin may crash or hang, and hear what it says.

Conventions: the parent writes one JSON request to the child's standard input; the child answers in JSON lines on a
private copy of its standard output, so that a plugin's own prints can't get among them. An answer is one of
``{"stage": text}``, ``{"row": ...}``, ``{"report": ...}`` or ``{"error": text, "kind": exception}``.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

from blackbox_afx import errors
from blackbox_afx.errors import AfxError, PluginCrash, PluginError, PluginHang

POLL_S = 0.02

_SCREENS = ("DISPLAY", "WAYLAND_DISPLAY")


class Ended(Exception):
    """The child is gone without having finished.

    Parameters
    ----------
    how : {"crash", "hang", "stop"}
    reason : str
        The signal, the exit status or the time limit.
    """

    def __init__(self, how: str, reason: str) -> None:
        super().__init__(reason)
        self.how = how
        self.reason = reason


def run_child(
    module: str,
    request: dict[str, Any],
    on_answer: Callable[[dict[str, Any]], None],
    *,
    timeout_s: float = float("inf"),
    quiet_s: float = float("inf"),
    stop: Callable[[], bool] | None = None,
) -> None:
    """Run a module until it ends, and hand on each of its answers as it comes.

    Parameters
    ----------
    module : str
        Run as ``python -m``.
    request : dict
        JSON for the child's standard input.
    on_answer : callable
        Takes each answer.
    timeout_s : float > 0
        Seconds that the whole child may take.
    quiet_s : float > 0
        Seconds that may pass between two answers.
    stop : callable, optional
        Asked now and then whether to give up.

    Raises
    ------
    Ended
        The child crashed, or ran out of time and was killed with all it had started.
    """
    # Files, not pipes: a helper that a plugin starts and leaves behind would keep a pipe open for ever. The answer has
    # a name of its own, as Windows opens no temporary file a second time.
    with (
        tempfile.TemporaryDirectory(prefix="afx-child-", ignore_cleanup_errors=True) as folder,
        tempfile.TemporaryFile() as asked,
        open(os.path.join(folder, "answer"), "wb") as answer,
        tempfile.TemporaryFile() as noise,
    ):
        asked.write(json.dumps(request).encode())
        asked.seek(0)
        process = subprocess.Popen(
            [sys.executable, "-m", module],
            stdin=asked,
            stdout=answer,
            stderr=noise,
            env=child_environment(),
            start_new_session=True,
        )
        started = heard = time.monotonic()
        rest = b""
        try:
            with open(answer.name, "rb") as reader:
                while True:
                    running = process.poll() is None  # before reading, so that last words are not missed
                    *lines, rest = (rest + reader.read()).split(b"\n")
                    for line in lines:
                        heard = time.monotonic()
                        on_answer(json.loads(line))
                    if not running:
                        break
                    now = time.monotonic()
                    if now - started > timeout_s or now - heard > quiet_s:
                        limit = timeout_s if now - started > timeout_s else quiet_s
                        raise Ended("hang", f"no end within {limit:g} s")
                    if stop is not None and stop():
                        raise Ended("stop", "told to stop")
                    time.sleep(POLL_S)
        finally:
            kill_group(process)
        if process.returncode != 0:
            noise.seek(0, os.SEEK_END)
            noise.seek(max(0, noise.tell() - 4000))
            raise Ended("crash", status_name(process.returncode) + _last_words(noise.read()))


def child_environment() -> dict[str, str]:
    """Give an environment in which the child finds this very package and no screen."""
    environment = {name: value for name, value in os.environ.items() if name not in _SCREENS}
    environment["PYTHONPATH"] = os.pathsep.join(os.path.abspath(entry) for entry in sys.path)
    environment["PYTHONSAFEPATH"] = "1"
    return environment


def reraise(answer: dict[str, Any], label: str) -> None:
    """Raise the error that a child sent, as the exception it was there."""
    kind = getattr(errors, str(answer.get("kind")), None)
    if isinstance(kind, type) and issubclass(kind, AfxError):
        raise kind(answer["error"])
    raise PluginError(f"{label}: can't be examined: {answer['error']}; leave it out, or report this")


def as_error(ended: Ended, label: str, stage: str) -> PluginError:
    """Word how a child ended as the exception a caller may catch."""
    if ended.how == "hang":
        return PluginHang(f"{label}: hangs while {stage} ({ended.reason}); leave it out, or give it more time")
    return PluginCrash(f"{label}: crashes while {stage} ({ended.reason}); leave it out, or update or reinstall it")


class Parent:
    """The child's line to its parent; made once, before any plugin is loaded."""

    def __init__(self) -> None:
        self._out = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)
        self.request: dict[str, Any] = json.load(sys.stdin)

    def tell(self, **answer: Any) -> None:
        """Send one answer."""
        # Python's own Infinity and NaN: plugins do have such numbers.
        self._out.write(json.dumps(answer) + "\n")
        self._out.flush()

    def leave(self) -> None:
        """End the process at once: plugins' own destructors are where many of them crash."""
        self._out.flush()
        os._exit(0)


def serve(work: Callable[[Parent], None]) -> None:
    """Do a child's work, send what goes wrong, and end the process."""
    parent = Parent()
    try:
        work(parent)
    except Exception as error:  # whatever it is, the parent words it
        parent.tell(error=" ".join(str(error).split()) or type(error).__name__, kind=type(error).__name__)
    parent.leave()


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """End a child that was started in a session of its own, and whatever it started and left behind."""
    if os.name == "posix":
        # Also where the child is gone: its group lives on as long as anyone in it does. macOS refuses for zombies.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    elif process.poll() is None:
        process.kill()
    process.wait()


def status_name(status: int) -> str:
    """Name a signal, or write an exit status as Windows lists them."""
    if status < 0:
        with contextlib.suppress(ValueError):
            return signal.Signals(-status).name
    return f"exit status {status}" if status < 0x8000_0000 else f"exit status 0x{status:08X}"


def _last_words(noise: bytes) -> str:
    lines = noise.decode("utf-8", "replace").strip().splitlines()
    return f"; its last words: {lines[-1].strip()}" if lines else ""
