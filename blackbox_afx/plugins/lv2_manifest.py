"""Read which plugins an LV2 bundle holds, from its `manifest.ttl`.

Notes
-----
DawDreamer loads LV2 plugins by URI only. A manifest is Turtle; only what manifests use of it is read: prefixes, IRIs,
prefixed names, ``a``, lists with ``,`` and ``;``. Strings and comments are skipped.
"""

from __future__ import annotations

import re
from pathlib import Path

from blackbox_afx.errors import PluginError

_PLUGIN = "http://lv2plug.in/ns/lv2core#Plugin"
_TYPE = "http://www.w3.org/1999/02/22-rdf-syntax-ns#type"
_TOKEN = re.compile(
    r'"""(?:[^\\]|\\.)*?"""|"(?:[^"\\\n]|\\.)*"|<[^<>\s]*>|#[^\n]*|@\w+|\^\^|[;,.\[\]()](?=\s|$|[;,.\[\]()<"#])'
    r"|[^\s;,\[\]()<>\"]+(?<!\.)|[;,.\[\]()]",
    re.DOTALL,
)


def _triples(text: str) -> list[tuple[str, str, str]]:
    """Parse the plain subject-predicate-object statements of a Turtle text; nested blank nodes are skipped."""
    prefixes: dict[str, str] = {}
    tokens = [token for token in _TOKEN.findall(text) if not token.startswith("#")]
    found = []
    subject = predicate = ""
    depth = at = 0

    def expand(token: str) -> str:
        if token.startswith("<"):
            return token[1:-1]
        if token == "a":
            return _TYPE
        prefix, colon, local = token.partition(":")
        return prefixes[prefix] + local if colon and prefix in prefixes else token

    while at < len(tokens):
        token = tokens[at]
        if depth == 0 and token.lower() in ("@prefix", "prefix") and at + 2 < len(tokens):
            prefixes[tokens[at + 1].rstrip(":")] = tokens[at + 2][1:-1]
            at += 3
        elif depth == 0 and token.lower() in ("@base", "base"):
            at += 2
        elif token in "[(":
            depth += 1
            at += 1
        elif token in "])":
            depth -= 1
            at += 1
        elif depth:
            at += 1
        else:
            if token == ".":
                subject = predicate = ""
            elif token == ";":
                predicate = ""
            elif token == ",":
                pass
            elif not subject:
                subject = expand(token)
            elif not predicate:
                predicate = expand(token)
            else:
                found.append((subject, predicate, expand(token)))
            at += 1
    return found


def plugin_uris(bundle: Path) -> list[str]:
    """List the URIs of the plugins in a bundle, in the manifest's order.

    Parameters
    ----------
    bundle : path
        A ``.lv2`` folder.

    Raises
    ------
    PluginError
        It has no manifest, or the manifest names no plugin.
    """
    manifest = Path(bundle) / "manifest.ttl"
    try:
        text = manifest.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise PluginError(
            f"{bundle} is not an LV2 bundle: manifest.ttl can't be read ({error.strerror}); give a .lv2 folder or a URI"
        ) from None
    uris = [subject for subject, predicate, what in _triples(text) if predicate == _TYPE and what == _PLUGIN]
    if not uris:
        raise PluginError(f"{manifest} names no plugin; give another bundle or a plugin's URI")
    return list(dict.fromkeys(uris))


def choose_uri(bundle: Path, plugin_name: str = "") -> str:
    """Give the URI of the only plugin in a bundle, or of the one that is called so.

    Parameters
    ----------
    bundle : path
    plugin_name : str
        The end of the URI, after the last ``/``, ``#`` or ``:``.

    Raises
    ------
    PluginError
        Several plugins and no name that picks one.
    """
    uris = plugin_uris(bundle)
    if len(uris) == 1:
        return uris[0]
    chosen = [uri for uri in uris if plugin_name and re.split(r"[/#:]", uri)[-1] == plugin_name]
    if len(chosen) == 1:
        return chosen[0]
    shown = ", ".join(uris[:5]) + (f" and {len(uris) - 5} more" if len(uris) > 5 else "")
    raise PluginError(f"{bundle} holds {len(uris)} plugins; give the URI of one: {shown}")
