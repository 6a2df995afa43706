"""Play sessions in a real Ardour, without a screen or a sound card, and render the same on its block grid.

Conventions: everything Ardour keeps (plugin cache, settings) goes to a folder of its own. Its exit status tells
nothing: about one run in ten of Ardour 7 ends in a crash after the file was written, mostly whole, now and then with
damaged samples; and a session whose plugin is missing exports dry audio with status 0. What counts is the file: as many
samples as expected, not the dry input, and the same from another start where the first one crashed.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

import msgspec
import numpy as np
import soundfile

from blackbox_afx.errors import PluginError
from blackbox_afx.export.thin import difference_db
from blackbox_afx.plugins.chain import ChainSpec
from blackbox_afx.plugins.trajectory import Trajectory

PERIOD = 1024
"""Samples of a process cycle of Ardour's export tool."""

PREROLL = 256
"""Samples that the export tool runs ahead of the first one, without plugin latency."""

TRIES = 4
_LOUDEST = 1e3  # full scale is 1; what is above comes from damaged memory
TIMEOUT_S = 60.0


class ArdourError(PluginError):
    """Ardour gave no file, not the right one, or dry audio."""


class Tools(msgspec.Struct, frozen=True, kw_only=True):
    """Where Ardour's tools are.

    Parameters
    ----------
    version : int
    export, lua : Path
    scanner : Path
        Of VST3 plugins.
    libraries : Path
        What the scanner needs in its library path.
    """

    version: int
    export: Path
    lua: Path
    scanner: Path
    libraries: Path


class Played(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Hold what Ardour exported.

    Parameters
    ----------
    audio : float32 [2, samples]
        The master bus.
    sample_rate : int
    tries : int
        How often Ardour had to be started.
    ends : tuple of (int or str)
        Exit status of each start; negative for a signal, "hang" where it was ended.
    """

    audio: np.ndarray
    sample_rate: int
    tries: int
    ends: tuple[int | str, ...]


def find_ardour() -> Tools | None:
    """Find the newest installed Ardour that has an export tool; None without one."""
    found = []
    for folder in os.get_exec_path():
        for export in Path(folder).glob("ardour*-export"):
            match = re.fullmatch(r"ardour(\d+)-export", export.name)
            if match:
                found.append((int(match[1]), export))
    for version, export in sorted(found, reverse=True):
        for libraries in (export.parent.parent / "lib" / f"ardour{version}", export.parent / "lib"):
            scanner = libraries / "ardour-vst3-scanner"
            if scanner.exists():
                lua = export.with_name(f"ardour{version}-lua")
                return Tools(version=version, export=export, lua=lua, scanner=scanner, libraries=libraries)
    return None


class ArdourBench:
    """Scan plugins and export sessions with an Ardour that keeps to one folder.

    Parameters
    ----------
    folder : path
        For its settings, cache and exports.
    tools : Tools, optional
        The newest installed by default.

    Raises
    ------
    ArdourError
        There is no Ardour.
    """

    def __init__(self, folder: str | os.PathLike[str], tools: Tools | None = None) -> None:
        found = tools or find_ardour()
        if found is None:
            raise ArdourError("no ardourN-export was found; install Ardour 7 or later (Debian: apt-get install ardour)")
        self.tools = found
        self.folder = Path(folder).resolve()
        self._scanned: set[Path] = set()
        self._runs = 0
        self.environment = dict(os.environ)
        for name in ("config", "cache"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
            self.environment[f"XDG_{name.upper()}_HOME"] = str(self.folder / name)
        self.environment.pop("DISPLAY", None)

    def scan(self, plugins: Iterable[str | os.PathLike[str]]) -> None:
        """Tell Ardour of VST3 and VST2 plugins: it loads none that its cache does not list.

        Raises
        ------
        ArdourError
            The scanner refuses one.
        """
        paths = {Path(plugin) for plugin in plugins}
        environment = {**self.environment, "LD_LIBRARY_PATH": str(self.tools.libraries)}
        for path in sorted(paths - self._scanned):
            done = subprocess.run(
                [str(self._scanner_of(path)), "-q", str(path)],
                env=environment,
                capture_output=True,
                text=True,
                timeout=TIMEOUT_S,
                check=False,
            )
            if done.returncode:
                raise ArdourError(
                    f"{path}: Ardour's scanner ended with {done.returncode}: {done.stderr.strip()[-300:]}"
                )
            self._scanned.add(path)

    def _scanner_of(self, plugin: Path) -> Path:
        return self.tools.scanner if plugin.suffix == ".vst3" else self.tools.scanner.with_name("ardour-vst-scanner")

    def export(
        self,
        session_file: str | os.PathLike[str],
        frames: int,
        *,
        dry: np.ndarray | None = None,
        expected: np.ndarray | None = None,
        limit_db: float = -60.0,
        tries: int = TRIES,
        timeout_s: float = TIMEOUT_S,
    ) -> Played:
        """Export the master bus of a session as float WAV.

        A file from a start that ended well is taken; one from a start that crashed only when another start gives the
        same samples. With `expected` audio, starts that come out further from it than `limit_db` are tried again,
        since Ardour 7 at times begins too early or writes damaged samples; the nearest of them is given back.

        Parameters
        ----------
        session_file : path
            The ``.ardour`` file.
        frames : int
            Samples that the session lasts.
        dry : float32 [channels, samples], optional
            What would come out if no plugin were loaded; that is refused.
        expected : float32 [channels, samples], optional
            What ought to come out; one channel stands for both sides.
        limit_db : float
            Of the difference to `expected`.
        tries : int
            Starts at the most.
        timeout_s : float
            Seconds a start.

        Returns
        -------
        Played

        Raises
        ------
        ArdourError
            No start gave a whole file, or it gave the dry audio.
        """
        session_file = Path(session_file).resolve()
        self._runs += 1
        out = self.folder / f"export-{self._runs}.wav"
        ends: list[int | str] = []
        said = ""
        found: list[tuple[float, np.ndarray, int]] = []
        for _ in range(tries):
            out.unlink(missing_ok=True)
            command = [str(self.tools.export), "-b", "float", "-o", str(out)]
            command += [str(session_file.parent), session_file.stem]
            try:
                done = subprocess.run(
                    command,
                    env=self.environment,
                    capture_output=True,
                    text=True,
                    errors="replace",
                    timeout=timeout_s,
                    check=False,
                )
                ends.append(done.returncode)
                said = (done.stdout + done.stderr).strip()
            except subprocess.TimeoutExpired:
                ends.append("hang")
            audio, sample_rate = _whole(out, frames)
            if audio is None:
                continue
            if dry is not None and is_dry(audio, dry):
                raise ArdourError(
                    f"{session_file.name}: Ardour exported the dry input; it did not load the plugins: {said[-300:]}"
                )
            off = 0.0 if expected is None else _distance_db(audio, expected)
            again = any(np.array_equal(audio, other) for _, other, _ in found)
            found.append((off, audio, sample_rate))
            if off < limit_db if expected is not None else ends[-1] == 0 or again:
                return Played(audio=audio, sample_rate=sample_rate, tries=len(ends), ends=tuple(ends))
        if expected is not None and found:
            off, audio, sample_rate = min(found, key=lambda entry: entry[0])
            return Played(audio=audio, sample_rate=sample_rate, tries=len(ends), ends=tuple(ends))
        raise ArdourError(
            f"{session_file.name}: Ardour gave no file of {frames} samples to rely on in {tries} starts ({ends}): "
            f"{said[-500:]}"
        )

    def run_lua(self, script: str, *arguments: str, timeout_s: float = TIMEOUT_S) -> str:
        """Run a Lua script in Ardour and give back what it printed; a crash may cost the end of it."""
        self._runs += 1
        path = self.folder / f"script-{self._runs}.lua"
        path.write_text(script, encoding="utf-8")
        done = subprocess.run(
            [str(self.tools.lua), str(path), *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
        )
        return done.stdout


def _whole(path: Path, frames: int) -> tuple[np.ndarray | None, int]:
    try:
        audio, sample_rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, OSError):
        return None, 0
    sound = len(audio) == frames and bool(np.all(np.abs(audio) < _LOUDEST))  # False for NaN too
    return (np.ascontiguousarray(audio.T), sample_rate) if sound else (None, 0)


def _distance_db(audio: np.ndarray, expected: np.ndarray) -> float:
    return difference_db(audio, np.broadcast_to(expected, audio.shape) if len(expected) == 1 else expected)


def is_dry(audio: np.ndarray, dry: np.ndarray) -> bool:
    """Tell whether audio [2, samples] is just the input [channels, samples], within -100 dB."""
    dry = np.broadcast_to(dry, audio.shape) if len(dry) == 1 else dry
    difference = np.asarray(audio, np.float64) - dry[:, : audio.shape[1]]
    return bool(np.sqrt(np.mean(difference**2)) <= 1e-5 * np.sqrt(np.mean(np.asarray(dry, np.float64) ** 2)))


def render_on_grid(
    spec: ChainSpec,
    audio: np.ndarray,
    trajectory: Trajectory,
    sample_rate: int,
    *,
    period: int = PERIOD,
    preroll: int = PREROLL,
) -> np.ndarray:
    """Render as Ardour's export tool plays: in blocks of its period, the first of them begun before the audio does.

    All plugins of a track work in one cycle, on what has come through those before them: where a cycle begins in the
    music differs, from one plugin to the next, by the latency between them. The one cycle that Ardour cuts where the
    transport starts is not: a plugin before a latent one therefore differs until its second cycle.

    Parameters
    ----------
    spec : ChainSpec
    audio : float32 [channels, samples]
    trajectory : Trajectory
    sample_rate : int
        Hertz.
    period : int
        Samples a cycle.
    preroll : int
        Samples that a track without latency runs ahead of the first one.

    Returns
    -------
    float32 [channels, samples]
    """
    with spec.open() as chain:
        latencies = chain.latencies(sample_rate)
    audio = np.asarray(audio, np.float32)
    for k, (profile, part) in enumerate(zip(spec.profiles, spec.slices, strict=True)):
        pad = -(preroll + sum(latencies[k:])) % period
        padded = np.pad(audio, ((0, 0), (pad, 0)))
        starts = np.arange(-(-padded.shape[1] // period)) * period - pad
        rows = trajectory.part(part).at(np.maximum(starts, 0) / sample_rate)
        with ChainSpec(profiles=(profile,)).open() as plugin:
            audio = plugin.render_raw(padded, rows, sample_rate, block_size=period)[:, pad:]
    return audio
