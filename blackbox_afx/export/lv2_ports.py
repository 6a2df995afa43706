"""Read an LV2 plugin's port numbers, symbols and names from its Turtle files; hosts number its parameters by port.

Conventions: only as much of Turtle as plugin descriptions use: prefixes, IRIs, names, literals, blank nodes, lists.

References
----------
W3C, "RDF 1.1 Turtle", 2014; LV2 specification, "lv2core".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlparse

from blackbox_afx.errors import PluginError
from blackbox_afx.plugins.locate import plugin_folders
from blackbox_afx.session import Parameter

LV2 = "http://lv2plug.in/ns/lv2core#"
SEE_ALSO = "http://www.w3.org/2000/01/rdf-schema#seeAlso"
TYPE = "http://www.w3.org/1999/02/22-rdf-syntax-ns#type"

_TOKEN = re.compile(
    r"""(?P<space>(?:\s|\#[^\n]*)+)
    |(?P<iri><[^<>\s]*>)
    |(?P<text>\"\"\"(?:[^"\\]|\\.|\"(?!\"\"))*\"\"\"|\"(?:[^"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*')(?:@[\w-]+|\^\^\S+?(?=[\s;,\]]))?
    |(?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?=[\s;,.\])]|$))
    |(?P<directive>@prefix|@base)
    |(?P<mark>[\[\];,()]|\.(?=\s|$))
    |(?P<name>[^\s;,\[\]()<>"']*[^\s;,\[\]()<>"'.])""",
    re.VERBOSE | re.DOTALL,
)

Node = dict[str, list]


def lv2_ports(uri: str) -> tuple[Parameter, ...]:
    """List the control ports of an installed LV2 plugin.

    Parameters
    ----------
    uri : str

    Returns
    -------
    tuple of Parameter
        By port index; output ports are `readonly`.

    Raises
    ------
    PluginError
        No installed bundle describes it.
    """
    for folder in plugin_folders("lv2"):
        for manifest in sorted(folder.glob("*/manifest.ttl")):
            text = manifest.read_text(encoding="utf-8", errors="replace")
            # A prefix may stand for any part of the URI; its end is always spelt out.
            if re.split(r"[#/:]", uri)[-1] not in text:
                continue
            node = read_turtle(text, manifest.parent).get(uri)
            if node is None:
                continue
            ports = _ports(node)
            for place in node.get(SEE_ALSO, []):
                path = manifest.parent / unquote(urlparse(str(place)).path).rsplit("/", 1)[-1]
                if path.is_file():
                    more = read_turtle(path.read_text(encoding="utf-8", errors="replace"), path.parent)
                    ports += _ports(more.get(uri, {}))
            if ports:
                return tuple(sorted(ports, key=lambda port: port.index))
    raise PluginError(f"{uri} is in no installed LV2 bundle; install it")


def _ports(node: Node) -> list[Parameter]:
    ports = []
    for port in node.get(LV2 + "port", []):
        kinds = port.get(TYPE, [])
        if LV2 + "ControlPort" not in kinds:
            continue
        ports.append(
            Parameter(
                index=int(port[LV2 + "index"][0]),
                symbol=str(port[LV2 + "symbol"][0]),
                name=str(port[LV2 + "name"][0]),
                readonly=LV2 + "OutputPort" in kinds,
            )
        )
    return ports


def read_turtle(text: str, folder: Path) -> dict[str, Node]:
    """Read Turtle into subjects, each a dict of predicates to lists of objects; blank nodes nest.

    Raises
    ------
    PluginError
        It is not Turtle as plugins write it.
    """
    tokens = list(_tokens(text))
    prefixes: dict[str, str] = {}
    subjects: dict[str, Node] = {}
    at = 0

    def name_of(kind: str, token: str) -> str:
        if kind == "iri":
            return token[1:-1]
        if token == "a":
            return TYPE
        prefix, colon, local = token.partition(":")
        return prefixes.get(prefix, prefix + colon) + local if colon else token

    def objects() -> Iterator[object]:
        nonlocal at
        while True:
            kind, token = tokens[at]
            at += 1
            if token == "[" and kind == "mark":
                yield predicates("]")
            elif token == "(" and kind == "mark":
                while tokens[at][1] != ")":
                    list(objects())
                at += 1
                yield {}
            elif kind == "text":
                yield token.strip(token[0])
            elif kind == "number":
                yield token
            else:
                yield name_of(kind, token)
            if tokens[at][1] != ",":
                return
            at += 1

    def predicates(end: str) -> Node:
        nonlocal at
        node: Node = {}
        while tokens[at][1] != end:
            if tokens[at] == ("mark", ";"):
                at += 1
                continue
            predicate = name_of(*tokens[at])
            at += 1
            node.setdefault(predicate, []).extend(objects())
        at += 1
        return node

    try:
        while at < len(tokens):
            kind, token = tokens[at]
            at += 1
            if token == "@prefix":
                prefixes[tokens[at][1].rstrip(":")] = tokens[at + 1][1][1:-1]
                at += 3
            elif token == "@base":
                at += 2
            elif token == "[" and kind == "mark":
                predicates("]")
                predicates(".")
            else:
                node = subjects.setdefault(name_of(kind, token), {})
                for predicate, values in predicates(".").items():
                    node.setdefault(predicate, []).extend(values)
    except IndexError:
        raise PluginError(f"{folder}: a Turtle file ends too early; install the plugin again") from None
    return subjects


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise PluginError(f"can't read Turtle at {text[at : at + 20]!r}")
        kind = str(match.lastgroup)
        if kind != "space":
            yield kind, match[kind]
        at = match.end()
