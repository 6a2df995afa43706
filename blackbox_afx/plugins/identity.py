"""Say which plugin something is: its format, its binary and that one's hash, its versions.

Conventions: nothing here loads a plugin into this process; VST3s are read by a process of their own.
"""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from pathlib import Path

import msgspec

from blackbox_afx.errors import PluginError, nearest
from blackbox_afx.plugins.locate import installed, locate
from blackbox_afx.plugins.lv2_manifest import _triples, choose_uri, plugin_uris
from blackbox_afx.plugins.profile import Format, Identity, table_hash
from blackbox_afx.plugins.vst3 import Vst3Class
from blackbox_afx.plugins.vst3_bundle import binary_path

BUILTIN = "builtin:"

_LV2_BINARY = "http://lv2plug.in/ns/lv2core#binary"

_SUFFIXES: dict[str, Format] = {
    ".vst3": "vst3",
    ".so": "vst2",
    ".dll": "vst2",
    ".vst": "vst2",
    ".lv2": "lv2",
    ".dsp": "faust",
}


def format_of(token: str) -> Format | None:
    """Tell a plugin's format from how it is named; None where it is no plugin's path, URI or built-in.

    Parameters
    ----------
    token : str
        A path, an LV2 URI, or ``builtin:Compressor``.
    """
    if token.startswith(BUILTIN):
        return "builtin"
    if is_uri(token):
        return "lv2"
    return _SUFFIXES.get(Path(token).suffix.lower())


def is_uri(token: str) -> bool:
    """Say whether a token is an LV2 URI."""
    return token.startswith(("http://", "https://", "urn:", "urid:"))


def binary_of(identity: Identity, path: Path | None) -> Path | None:
    """Find the file that holds a plugin's code; None for built-ins.

    Parameters
    ----------
    identity : Identity
    path : Path or None
        Where its file or LV2 bundle lies.

    Raises
    ------
    PluginError
        There is none for this machine.
    """
    if identity.format == "builtin" or path is None:
        return None
    if identity.format == "vst3":
        return binary_path(path)
    if identity.format == "lv2":
        return _lv2_binary(path, identity.uri)
    if path.is_dir():  # macOS VST2 bundles
        inside = sorted((path / "Contents" / "MacOS").glob("*"))
        return inside[0] if inside else None
    if not path.is_file():
        raise PluginError(f"{path}: no such file; give the path of a plugin")
    return path


def _lv2_binary(bundle: Path, uri: str) -> Path | None:
    """Find a plugin's library in its bundle: what the manifest says, else the first that is no window."""
    try:
        statements = _triples((bundle / "manifest.ttl").read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return None
    named = [what for subject, predicate, what in statements if predicate == _LV2_BINARY and subject == uri]
    for name in named:
        if (bundle / name).is_file():
            return bundle / name
    libraries = sorted(file for suffix in ("so", "dylib", "dll") for file in bundle.glob(f"*.{suffix}"))
    return libraries[0] if libraries else None


def lv2_plugins(bundle: Path) -> list[tuple[str, str]]:
    """List the plugins of an LV2 bundle as (URI, short name).

    Raises
    ------
    PluginError
        It is no LV2 bundle.
    """
    return [(uri, lv2_name(uri)) for uri in plugin_uris(bundle)]


def lv2_name(uri: str) -> str:
    """Give the end of a URI, which is how people speak of an LV2 plugin."""
    return re.split(r"[/#:]", uri.rstrip("/#:"))[-1]


def lv2_identity(token: str, name: str | None = None) -> tuple[Identity, Path]:
    """Find an LV2 plugin by its URI, or in a bundle.

    Parameters
    ----------
    token : str
        A URI, or a ``.lv2`` folder or its bare name.
    name : str, optional
        Which one of a bundle: a URI or the end of one.

    Raises
    ------
    PluginError
        Not installed, not a bundle, or several plugins and no name.
    """
    if is_uri(token):
        uri, bundle = token, lv2_bundle(token)
    else:
        bundle = locate(token, "lv2")
        uris = plugin_uris(bundle)
        uri = name if name in uris else choose_uri(bundle, name or "")
    binary = file_hash(_lv2_binary(bundle, uri))
    identity = Identity(
        format="lv2", uri=uri, plugin_name=lv2_name(uri), version=_lv2_version(bundle, uri), sha256=binary
    )
    return identity, bundle


def lv2_bundle(uri: str) -> Path:
    """Find the installed bundle that holds a plugin.

    Raises
    ------
    PluginError
        None does.
    """
    known = _lv2_index()
    if uri in known:
        return known[uri]
    close = nearest(uri, list(known))
    hint = f" ({close})" if close.startswith("did you mean") else ""
    raise PluginError(f"no installed LV2 plugin has the URI {uri}; install it, or set LV2_PATH{hint}")


@lru_cache(maxsize=1)
def _lv2_index() -> dict[str, Path]:
    """Map the URIs of all installed LV2 plugins to their bundles."""
    index: dict[str, Path] = {}
    for bundle in installed("lv2"):
        try:
            uris = plugin_uris(bundle)
        except PluginError:
            continue  # bundles of presets only
        for uri in uris:
            index.setdefault(uri, bundle)
    return index


def _lv2_version(bundle: Path, uri: str) -> str:
    """Read minor and micro version, where the bundle holds one plugin only."""
    if len(plugin_uris(bundle)) != 1:
        return ""
    texts = [file.read_text(encoding="utf-8", errors="replace") for file in sorted(bundle.glob("*.ttl"))]
    parts = [
        next((hit.group(1) for text in texts if (hit := re.search(rf"lv2:{part}Version\s+(\d+)", text))), "")
        for part in ("minor", "micro")
    ]
    return ".".join(parts) if all(parts) else ""


def file_hash(path: Path | None) -> str:
    """Hash a file with SHA-256 as 64 hex digits; empty for no file.

    Raises
    ------
    PluginError
        It can't be read.
    """
    if path is None:
        return ""
    try:
        stat = path.stat()
        return _hash(str(path), stat.st_mtime_ns, stat.st_size)
    except OSError as error:
        raise PluginError(f"{path}: can't be read ({error.strerror}); give a file you may read") from None


@lru_cache(maxsize=4096)
def _hash(path: str, _changed: int, _size: int) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def identity_of_class(identity: Identity, entry: Vst3Class) -> Identity:
    """Fill in what a VST3 says about itself."""
    rows: list[tuple[int, int | None, str, int]] = [
        (p.index, p.param_id, p.title, shown_steps(p.steps)) for p in entry.parameters
    ]
    return msgspec.structs.replace(
        identity,
        plugin_name=entry.name,
        class_id=entry.class_id,
        version=entry.version,
        vendor=entry.vendor,
        table_hash=table_hash(rows),
    )


def shown_steps(steps: int) -> int:
    """Count the steps of a stepped control; more than can be told apart are none."""
    return steps if 0 < steps < 1_000_000 else 0
