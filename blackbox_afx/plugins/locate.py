"""Find a plugin file by its bare name in the folders where the systems keep plugins."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from blackbox_afx.errors import PluginError, nearest

SUFFIXES = {"vst3": (".vst3",), "vst2": (".so", ".dll", ".vst"), "lv2": (".lv2",), "faust": (".dsp",)}
ENVIRONMENT = {"vst3": "VST3_PATH", "vst2": "VST_PATH", "lv2": "LV2_PATH"}
BUNDLES = (".vst3", ".vst", ".lv2", ".component", ".clap", ".app", ".bundle", ".framework", ".dpm", ".aaxplugin")
"""Endings of folders that are one thing to the system, and hold no plugins but their own."""
OVERRIDE = "AFX_PLUGIN_PATH"
"""Folders, separated as in PATH, that are searched before all others."""


def plugin_folders(format: str, platform: str = sys.platform) -> list[Path]:
    """List the folders searched for a format, in order; they need not exist.

    Parameters
    ----------
    format : {"vst3", "vst2", "lv2", "faust"}
    platform : str
        As `sys.platform` says it.
    """
    found = [Path(part) for part in os.environ.get(OVERRIDE, "").split(os.pathsep) if part]
    variable = ENVIRONMENT.get(format, "")
    found += [Path(part) for part in os.environ.get(variable, "").split(os.pathsep) if part]
    home = Path.home()
    if platform == "darwin":
        folder = {"vst3": "VST3", "vst2": "VST", "lv2": "LV2"}.get(format)
        if folder:
            bases = (home, Path("/"), *([Path("/Network")] if format == "vst3" else []))
            found += [base / "Library/Audio/Plug-Ins" / folder for base in bases]
    elif platform.startswith("win"):
        programs = Path(os.environ.get("PROGRAMFILES", r"C:\Program Files"))
        common = Path(os.environ.get("COMMONPROGRAMFILES", str(programs / "Common Files")))
        local = Path(os.environ.get("LOCALAPPDATA", str(home / "AppData/Local")))
        roaming = Path(os.environ.get("APPDATA", str(home / "AppData/Roaming")))
        found += {
            "vst3": [local / "Programs/Common/VST3", common / "VST3"],
            "vst2": [
                programs / "VSTPlugins",
                programs / "Steinberg/VSTPlugins",
                common / "VST2",
                common / "Steinberg/VST2",
            ],
            "lv2": [roaming / "LV2", common / "LV2"],
        }.get(format, [])
    else:
        folder = {"vst3": "vst3", "vst2": "vst", "lv2": "lv2"}.get(format)
        if folder:
            multiarch = sorted(Path("/usr/lib").glob(f"*-linux-*/{folder}"))
            found += [home / f".{folder}", Path("/usr/local/lib") / folder, Path("/usr/lib") / folder, *multiarch]
            found += [Path("/usr/local/lib64") / folder, Path("/usr/lib64") / folder]
    return list(dict.fromkeys(found))


def installed(format: str) -> Iterator[Path]:
    """Go through all plugin files of a format in the searched folders, sub-folders included, sorted."""
    seen: set[str] = set()
    for folder in plugin_folders(format):
        for path in _within(folder, SUFFIXES[format]):
            if path.name not in seen:
                seen.add(path.name)
                yield path


def _within(folder: Path, suffixes: tuple[str, ...], above: tuple[str, ...] = ()) -> Iterator[Path]:
    """Walk a folder for files or bundles with these endings, without going into bundles."""
    real = os.path.realpath(folder)
    if real in above:  # a link to where we come from
        return
    above = (*above, real)
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        if entry.name.lower().endswith(suffixes):
            yield Path(entry.path)
        # Makers' folders may have a version in their names, and with it a full stop.
        elif not entry.name.startswith(".") and not entry.name.lower().endswith(BUNDLES) and entry.is_dir():
            yield from _within(Path(entry.path), suffixes, above)


def locate(file: str, format: str, folder: str = "") -> Path:
    """Find a plugin's file.

    Parameters
    ----------
    file : str
        A path, or a bare file name such as ``ZamEQ2.vst3``; the ending may be left out.
    format : {"vst3", "vst2", "lv2", "faust"}
    folder : str
        The profile's own folder, looked in first for relative names.

    Returns
    -------
    Path
        Absolute.

    Raises
    ------
    PluginError
        Not there; the message says where was searched and what to do.
    """
    if not file:
        raise PluginError(f"a {format} plugin needs a file; give its path or its bare name in [identity] file")
    given = Path(file).expanduser()
    tries = [given] if given.is_absolute() else [Path(folder) / given] if folder else []
    if not given.is_absolute() and len(given.parts) > 1:
        tries.append(Path.cwd() / given)
    for path in tries:
        if path.exists():
            return path.resolve() if path.is_symlink() and format == "faust" else path.absolute()
    folders = plugin_folders(format)
    if given.is_absolute() or len(given.parts) > 1:
        shown = ", ".join(str(path) for path in tries)
        raise PluginError(f"{file} is not installed: searched {shown}; install it or give its path")
    if not folder and format == "faust" and given.exists():
        return given.absolute()
    names = {given.name, *(given.name + suffix for suffix in SUFFIXES[format])}
    everything = []
    for path in installed(format):
        if path.name in names:
            return path.absolute()
        everything.append(path.name)
    searched = ", ".join(str(path) for path in [*tries, *folders]) or "no folder"
    close = nearest(given.name, everything) if everything else ""
    hint = f" ({close})" if close.startswith("did you mean") else ""
    raise PluginError(f"{file} is not installed: searched {searched}; install it or give its path{hint}")
