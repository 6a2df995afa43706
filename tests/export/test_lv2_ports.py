"""Port numbers of LV2 plugins, from their Turtle."""

from __future__ import annotations

from pathlib import Path

import pytest

from blackbox_afx.errors import PluginError
from blackbox_afx.export.lv2_ports import lv2_ports, read_turtle
from blackbox_afx.plugins.locate import plugin_folders


def test_turtle_as_plugins_write_it(tmp_path: Path) -> None:
    """Prefixes, nested blank nodes, long strings with quotes and semicolons, numbers, lists, comments."""
    text = '''
@prefix lv2: <http://lv2plug.in/ns/lv2core#> . # a comment; with marks .
@prefix : <urn:x#> .
@base <urn:base> .
:a a lv2:Plugin ;
    lv2:name "a \\"quoted\\" [name];" , 'other'@de ;
    lv2:doc """long . "text" ; [ """ ;
    lv2:list ( 1 2.5 -3e-2 [ :b :c ] ) ;
    lv2:port [ lv2:index 1 ; lv2:scalePoint [ :v 0 ] , [ :v 1.0 ] ; ] .
:a lv2:more true .
[] a lv2:Nothing .
'''
    node = read_turtle(text, tmp_path)["urn:x#a"]
    core = "http://lv2plug.in/ns/lv2core#"
    assert node[core + "more"] == ["true"]
    assert len(node[core + "name"]) == 2
    assert node[core + "port"][0][core + "index"] == ["1"]
    assert [point["urn:x#v"] for point in node[core + "port"][0][core + "scalePoint"]] == [["0"], ["1.0"]]


@pytest.mark.parametrize("text", ['<a> <b> "never closed .', "<a> <b> [ <c> 1 "])
def test_what_is_no_turtle_is_refused(tmp_path: Path, text: str) -> None:
    """No endless loop, no Python error."""
    with pytest.raises(PluginError):
        read_turtle(text, tmp_path)


@pytest.mark.lv2
@pytest.mark.zam
@pytest.mark.slow
def test_every_installed_bundle_can_be_read() -> None:
    """Some 350 files of a dozen makers, by hand and by machine."""
    files = [path for folder in plugin_folders("lv2") for path in folder.glob("*/*.ttl")]
    assert len(files) > 100
    for path in files:
        read_turtle(path.read_text(encoding="utf-8", errors="replace"), path.parent)


@pytest.mark.lv2
@pytest.mark.zam
@pytest.mark.parametrize(
    ("uri", "symbol", "name", "index"),
    [
        ("urn:zamaudio:ZamEQ2", "boost1", "Boost/Cut 1", 2),
        ("http://lsp-plug.in/plugins/lv2/compressor_mono", "enabled", "Enabled", 2),
        ("http://gareus.org/oss/lv2/fil4#mono", "enable", "Enable", 2),
        ("http://calf.sourceforge.net/plugins/Compressor", "mix", "Mix", 19),
    ],
)
def test_ports_of_known_plugins(uri: str, symbol: str, name: str, index: int) -> None:
    """Symbols and numbers as in the makers' files."""
    port = next(port for port in lv2_ports(uri) if port.symbol == symbol)
    assert (port.name, port.index) == (name, index)


def test_an_unknown_plugin_is_named() -> None:
    """The URI stands in the error."""
    with pytest.raises(PluginError, match="urn:nobody:nothing"):
        lv2_ports("urn:nobody:nothing")
