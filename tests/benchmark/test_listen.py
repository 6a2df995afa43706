"""The page to listen to: whole, by itself, with files that play and figures that are the benchmark's."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from blackbox_afx.audio import info, read_audio
from blackbox_afx.benchmark.listen_page import waveform
from blackbox_afx.cli import main as cli
from blackbox_afx.plugins.builtins import builtin_profile
from tests.transfer.untrained import untrained


def afx(capsys, *arguments: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as leaving:
        cli.main(["benchmark", "listen", *arguments])
    return int(leaving.value.code or 0), capsys.readouterr().err


class Links(HTMLParser):
    """Collect what a page loads, and whether its tags close."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.loaded += [value for key, value in attrs if key in ("src", "href", "srcset", "data")]
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        """Let tags that close themselves be."""

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page(tmp_path, capsys, demo_audio):
    controller = untrained(tmp_path / "a<b.safetensors", [builtin_profile("ChannelStrip")])
    twin = untrained(tmp_path / "twin.safetensors", [builtin_profile("ChannelStrip")], effect={"kind": "autodiff"})
    arguments = ["--audio", str(demo_audio), "--where", "type=speech", "--controller", str(controller), str(twin)]
    arguments += ["--on-plugins", "--pairs", "2", "--baseline", "defaults", "--jobs", "1"]
    arguments += ["--out", str(tmp_path / "page")]
    status, err = afx(capsys, *arguments)
    assert status == 0, err
    text = (tmp_path / "page" / "index.html").read_text()
    links = Links()
    links.feed(text)
    assert not links.open
    assert "a&lt;b" in text
    assert len(links.loaded) == 14
    assert "ChannelStrip is set by a&lt;b, twin-on-plugins, defaults." in text
    assert "No plugin is in the sound of twin." in text
    assert not re.search(r"https?://|//", text.replace("</", ""))
    facts = json.loads((tmp_path / "page" / "listen.json").read_text())
    for pair in facts["pairs"]:
        names = ["input", "reference", "target", "a<b", "twin", "twin-on-plugins", "defaults"]
        assert list(pair["files"]) == names
        loudest = 0.0
        for name, file in pair["files"].items():
            assert file["file"] in links.loaded
            about = info(tmp_path / "page" / file["file"])
            assert (about.format, about.sample_rate) == ("FLAC", 24000)
            loudest = max(loudest, float(np.abs(read_audio(about.path)[0]).max()))
            assert bool(file["scores"]) == (name not in ("reference", "target"))
        assert loudest == pytest.approx(10 ** (-1 / 20), abs=1e-3)
        # The defaults of this chain leave the input as it is.
        scores = [pair["files"][name]["scores"]["stft"] for name in ("input", "defaults")]
        assert scores[0] == pytest.approx(scores[1], rel=1e-2)
    status, err = afx(capsys, *arguments)
    assert status == 1
    assert "give --force" in err


def test_folders_of_others_are_never_replaced(tmp_path, capsys, demo_audio):
    controller = untrained(tmp_path / "c.safetensors", [builtin_profile("ChannelStrip")])
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "index.html").write_text("mine")
    arguments = ["--audio", str(demo_audio), "--controller", str(controller), "--out", str(mine), "--force"]
    status, err = afx(capsys, *arguments)
    assert status == 1
    assert "no page of this command" in err
    assert (mine / "index.html").read_text() == "mine"


def test_waveforms_share_a_scale():
    audio = np.sin(np.linspace(0, 60, 4000))
    low, high = waveform(0.5 * audio, 1.0), waveform(audio, 1.0)
    assert "0,2" in low
    assert min(float(y) for y in re.findall(r",(\d+\.\d)", high)) == pytest.approx(0, abs=0.1)
    assert min(float(y) for y in re.findall(r",(\d+\.\d)", low)) == pytest.approx(10, abs=0.1)
