"""Find the binary and the class list inside a VST3 bundle.

Conventions: a bundle is the folder ``NAME.vst3``; a binary is the file the system's loader takes. Nothing is
loaded here, so these functions are safe on plugins that crash.

References
----------
Steinberg, VST 3 Developer Portal, "Plug-in Format Structure".
"""

from __future__ import annotations

import json
import platform
import plistlib
import re
import sys
import sysconfig
from pathlib import Path

import msgspec

from blackbox_afx.errors import PluginError

AUDIO_CLASS = "Audio Module Class"

# What `platform.machine()` calls a processor, and the folders that may hold its binary, best first.
_LINUX_FOLDERS = {"i686": ("i386-linux", "i686-linux"), "i586": ("i386-linux",)}
_WINDOWS_FOLDERS = {
    "amd64": ("x86_64-win",),
    "x86_64": ("x86_64-win",),
    "x86": ("x86-win",),
    "i386": ("x86-win",),
    "arm64": ("arm64-win", "arm64x-win"),
    "aarch64": ("arm64-win", "arm64x-win"),
}

# A string is matched first, so that what looks like a comment inside one is left alone.
_COMMENT = re.compile(r'("(?:\\.|[^"\\])*")|//[^\n]*|/\*.*?\*/', re.DOTALL)
_TRAILING_COMMA = re.compile(r'("(?:\\.|[^"\\])*")|,(?=\s*[\]}])')


class ListedClass(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A plugin that a bundle's ``moduleinfo.json`` announces.

    Attributes
    ----------
    name : str
        The plugin's name.
    class_id : str
        32 upper-case hexadecimal digits, in the order that presets use on every system.
    """

    name: str
    class_id: str


def binary_path(path: Path, system: str | None = None, machine: str | None = None) -> Path:
    """Find the file to load for a VST3.

    Parameters
    ----------
    path : Path
        A bundle folder, or a file: the old single-file form of Windows, or the binary itself.
    system : {'Linux', 'Darwin', 'Windows'} or None
        As `platform.system` says it; None asks for this machine.
    machine : str or None
        As `platform.machine` says it, for example ``x86_64`` or ``AMD64``; None asks for this process, which may be
        built for another processor than the machine has.

    Returns
    -------
    Path
        An existing file. Whether it is a plugin shows only when it is loaded.

    Raises
    ------
    PluginError
        Nothing lies at `path`, it is not a bundle, or it holds no binary for this system and machine.
    """
    path = Path(path)
    system = platform.system() if system is None else system
    machine = process_machine() if machine is None else machine
    if path.is_file():
        return path
    if not path.is_dir():
        raise PluginError(f"{path}: no such file or folder; give the path of a .vst3")
    contents = path / "Contents"
    if not contents.is_dir():
        raise PluginError(f"{path}: a folder without Contents is not a VST3 bundle; give the path of a .vst3")
    if system == "Darwin":
        return _mac_binary(path, contents)
    if system == "Windows":
        folders = _WINDOWS_FOLDERS.get(machine.lower(), (f"{machine.lower()}-win",))
        suffix = ".vst3"
    else:
        folders = _LINUX_FOLDERS.get(machine, (f"{machine}-linux",))
        suffix = ".so"
    for folder in folders:
        named = contents / folder / f"{path.stem}{suffix}"
        if named.is_file():
            return named
        # A bundle that somebody renamed still holds its binary under the old name.
        others = sorted(contents.glob(f"{folder}/*{suffix}"))
        if len(others) == 1 and others[0].is_file():
            return others[0]
    raise PluginError(
        f"{path}: holds no {folders[0]} binary ({_found(contents)}); install the plugin's build for {system} {machine}"
    )


def process_machine(built_for: str | None = None, wide: bool = sys.maxsize > 2**32) -> str:
    """Say for which processor this process was built, as `platform.machine` would on such a machine.

    Parameters
    ----------
    built_for : str, optional
        As `sysconfig.get_platform` says it; of this process by default.
    wide : bool
        Whether addresses have 64 bits.

    Notes
    -----
    A 64-bit Intel Python on Windows for ARM is told of an ARM machine, and can load Intel plugins only; a 32-bit one
    on a 64-bit system likewise.
    """
    built_for = sysconfig.get_platform() if built_for is None else built_for
    windows = {"win-amd64": "AMD64", "win-arm64": "ARM64", "win32": "x86"}
    if built_for in windows:
        return windows[built_for]
    machine = platform.machine()
    return "i686" if machine == "x86_64" and not wide else machine


def _mac_binary(path: Path, contents: Path) -> Path:
    """Follow CFBundleExecutable in Info.plist as the system does; without one the bundle's name counts."""
    executable = path.stem
    plist = contents / "Info.plist"
    if plist.is_file():
        try:
            executable = str(plistlib.loads(plist.read_bytes()).get("CFBundleExecutable", executable))
        except Exception as error:  # plistlib raises half a dozen kinds, expat's among them
            raise PluginError(f"{plist}: not a property list ({error}); reinstall the plugin") from error
    binary = contents / "MacOS" / executable
    if not binary.is_file():
        raise PluginError(
            f"{path}: holds no MacOS/{executable} ({_found(contents)}); install the plugin's build for macOS"
        )
    return binary


def _found(contents: Path) -> str:
    """Word which systems' binaries a bundle does hold."""
    folders = sorted(
        child.name
        for child in contents.iterdir()
        if child.is_dir() and (child.name == "MacOS" or child.name.endswith(("-linux", "-win")))
    )
    return "it has " + ", ".join(folders) if folders else "it has none at all"


def bundle_root(binary: Path) -> Path:
    """Give the bundle folder that a binary lies in, or the binary itself where it lies in none.

    Parameters
    ----------
    binary : Path
        For example ``X.vst3/Contents/MacOS/X``.

    Returns
    -------
    Path
        For example ``X.vst3``.
    """
    parents = binary.parents
    return parents[2] if len(parents) > 2 and parents[1].name == "Contents" else binary


def listed_classes(path: Path) -> tuple[ListedClass, ...]:
    """Read from a bundle's ``moduleinfo.json`` which plugins it holds, without loading any.

    Parameters
    ----------
    path : Path
        A bundle folder.

    Returns
    -------
    tuple of ListedClass
        The audio plugins in the file's order; empty where there is no such file, which is common.

    Raises
    ------
    PluginError
        The file is there but is not what the format says.

    Notes
    -----
    It holds classes only, never parameters. The file is JSON5; of that, comments and trailing commas are
    understood.
    """
    # Contents/ itself was the place in older bundles.
    for place in ("Resources/moduleinfo.json", "moduleinfo.json"):
        file = Path(path) / "Contents" / place
        if file.is_file():
            break
    else:
        return ()
    try:
        text = _COMMENT.sub(r"\1", file.read_text(encoding="utf-8-sig"))
        classes = json.loads(_TRAILING_COMMA.sub(r"\1", text)).get("Classes", [])
        return tuple(
            ListedClass(name=str(entry["Name"]), class_id=str(entry["CID"]).upper())
            for entry in classes
            if entry["Category"] == AUDIO_CLASS
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise PluginError(f"{file}: not a VST3 module info ({error}); reinstall the plugin") from error
