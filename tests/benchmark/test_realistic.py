"""The realistic benchmark and the probe: the styles sound as they are called, nobody meets himself, honest messages."""

from __future__ import annotations

import importlib.util
import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import scipy.signal

from blackbox_afx.benchmark import embeddings, matchering_method
from blackbox_afx.benchmark.linear_probe import Split, confusion, mean_f1, train_probe
from blackbox_afx.benchmark.realistic import METRICS
from blackbox_afx.benchmark.style_files import LEAD, make_style_files, unpaired
from blackbox_afx.benchmark.style_probe import deal, interval, make_examples
from blackbox_afx.benchmark.styles import STYLES, apply_style
from blackbox_afx.cli import main as cli
from blackbox_afx.data import Clip, ClipSet
from blackbox_afx.errors import AudioError, UsageError
from blackbox_afx.plugins.builtins import builtin_profile
from tests.transfer.untrained import untrained

RATE = 24000


def talk(seed: int, seconds: float) -> np.ndarray:
    """Noise whose level moves as that of speech does: 30 dB up and down, four times a second."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * RATE)) / RATE
    level = 10 ** ((-15 + 15 * np.sin(2 * np.pi * 4 * time)) / 20)
    return (0.2 * level * rng.standard_normal(len(time))).astype(np.float32)


def clip_set(speakers: int, each: int, seconds: float = 1.6) -> ClipSet:
    clips = tuple(
        Clip(audio=talk(10 * s + k, seconds), speaker=f"s{s}", path=Path(f"s{s}/{k}.wav"), start=0.0)
        for s in range(speakers)
        for k in range(each)
    )
    return ClipSet(clips=clips, sample_rate=RATE)


def band_db(audio: np.ndarray, low: float, high: float) -> float:
    hertz, power = scipy.signal.welch(audio, RATE, nperseg=1024)
    return float(10 * np.log10(power[(hertz >= low) & (hertz < high)].mean()))


def level_db(audio: np.ndarray, window: int = 480) -> np.ndarray:
    whole = audio[: len(audio) // window * window].reshape(-1, window)
    return 10 * np.log10(np.mean(whole.astype(float) ** 2, axis=1) + 1e-12)


def test_styles_sound_as_they_are_called():
    dry = talk(0, 2.0)
    wet = {name: apply_style(np.random.default_rng(1), dry, RATE, name) for name in STYLES}
    for audio in wet.values():
        assert np.abs(audio).max() == pytest.approx(1.0, abs=1e-5)
    # Against the middle, dB: what lies below 150 Hz and above 10 kHz.
    low = {name: band_db(audio, 50, 150) - band_db(audio, 600, 900) for name, audio in wet.items()}
    high = {name: band_db(audio, 10000, 12000) - band_db(audio, 2000, 3500) for name, audio in wet.items()}
    assert 0 < low["neutral"] < 5
    assert 0 < low["broadcast"] < 9
    assert low["telephone"] < -18
    assert high["telephone"] < -15
    assert low["bright"] < -15
    assert high["bright"] > 12
    assert low["warm"] > 15
    # Warm cuts the highs; the released code boosted them.
    assert high["warm"] < -8
    # The compressed ones move less from moment to moment, once they have settled.
    moves = {name: level_db(audio[LEAD:]).std() for name, audio in wet.items()}
    assert moves["broadcast"] < moves["neutral"] < min(moves["bright"], moves["warm"])


def test_no_clip_is_in_two_styles_and_nobody_is_his_own_reference():
    clips = clip_set(6, 5)
    files = make_style_files(clips, segment=16384, seed=3)
    assert [len([f for f in files if f.style == style]) for style in STYLES] == [6] * 5
    assert {len(file.audio) for file in files} == {16384}
    assert max(np.abs(file.audio).max() for file in files) == pytest.approx(10 ** (-12 / 20), rel=1e-4)
    drawn = unpaired(files, each=2, seed=3)
    assert len(drawn) == 50
    assert len({(a, b) for a, b, _ in drawn}) == 25
    by_audio = {file.audio.tobytes(): file for file in files}
    assert len(by_audio) == 30
    for source_style, reference_style, pair in drawn:
        source, reference = by_audio[pair.source.tobytes()], by_audio[pair.reference.tobytes()]
        assert (source.style, reference.style) == (source_style, reference_style)
        assert source.speaker == pair.speaker != reference.speaker
    again = unpaired(make_style_files(clips, segment=16384, seed=3), each=2, seed=3)
    assert all(np.array_equal(a[2].source, b[2].source) for a, b in zip(drawn, again, strict=True))


def test_too_few_speakers_are_refused():
    with pytest.raises(AudioError, match=r"expected at least two for each of 5 styles"):
        make_style_files(clip_set(1, 12), segment=16384, seed=0)


@pytest.fixture
def corpus(tmp_path) -> Path:
    """A plain folder of six voices, read whole."""
    import soundfile

    for s in range(6):
        (tmp_path / "voices" / f"s{s}").mkdir(parents=True)
        for k in range(3):
            soundfile.write(tmp_path / "voices" / f"s{s}" / f"{k}.wav", talk(10 * s + k, 3.2), RATE)
    return tmp_path / "voices"


def afx(capsys, *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as leaving:
        cli.main(["benchmark", *arguments])
    out, err = capsys.readouterr()
    return int(leaving.value.code or 0), out, err


def test_the_realistic_command(tmp_path, capsys, corpus):
    controller = untrained(tmp_path / "c.safetensors", [builtin_profile("ChannelStrip")])
    arguments = ["realistic", "--audio", str(corpus), "--controller", str(controller), "--each", "1"]
    arguments += ["--segment", "16384", "--baseline", "rb-dsp", "--jobs", "1", "--out", str(tmp_path / "r.json")]
    arguments += ["--refine", "16", "--chain", "builtin:PeakFilter builtin:Gain", "--renders", "10"]
    status, out, err = afx(capsys, *arguments, "--plot", str(tmp_path / "r.png"), "--markdown", str(tmp_path / "r.md"))
    assert status == 0, err
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["protocol"] == "realistic"
    assert (report["pairs"], report["seed"]) == (25, 42)
    assert (
        list(report["ratio"])
        == list(report["methods"])
        == [
            "c",
            "rb-dsp",
            "c refined",
            "PeakFilter > Gain matched",
        ]
    )
    for figures in (report["input"], *report["methods"].values(), *report["ratio"].values()):
        assert set(figures) == {*METRICS, "interval"}
    assert set(report["styles"]) == set(STYLES)
    assert report["command"].startswith("afx")
    assert out == (tmp_path / "r.md").read_text()
    assert "MSD by the reference's style" in out
    assert (tmp_path / "r.png").stat().st_size > 5000
    # What is made by rule from long-term spectrum and loudness comes nearer than the input is.
    assert report["ratio"]["rb-dsp"]["sce_hz"] < 0.9
    # A controller that learned nothing is mended by what refining renders.
    for metric in ("msd", "lufs_db"):
        assert report["ratio"]["c refined"][metric] < report["ratio"]["c"][metric]
    # A gain matches the level, if nothing else.
    assert report["ratio"]["PeakFilter > Gain matched"]["lufs_db"] < 0.5


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "neither a controller nor a chain nor a baseline"),
        (["--baseline", "defaults"], "'defaults' needs a chain"),
        (["--baseline", "rb-dsp", "--each", "0"], "--each 0"),
        (["--baseline", "rb-dsp", "--refine", "1"], "--refine 1"),
        (["--chain", "builtin:Gain", "--renders", "1"], "--renders 1"),
        (["--chain", "builtin:Gain", "--spectrum", "0"], "--spectrum 0"),
        (["--baseline", "rb-dsp", "--spectrum", "5"], "no chain to search"),
        (["--chain", "builtin:Gian"], "did you mean 'Gain'"),
    ],
)
def test_wrong_requests_are_one_line(tmp_path, capsys, corpus, arguments, told):
    status, _, err = afx(capsys, "realistic", "--audio", str(corpus), "--out", str(tmp_path / "r.json"), *arguments)
    assert status == 2
    lines = [line for line in err.splitlines() if not line.startswith("benchmark: ")]
    assert len(lines) == 1
    assert told in lines[0]


def test_cdpam_hears_a_style():
    pytest.importorskip("cdpam", reason="the extra cdpam is not installed")
    from blackbox_afx.benchmark.embeddings import OTHERS

    embedder = OTHERS["cdpam"]()
    dry = talk(0, 1.0)[: embedder.rate]
    vectors = [embedder.embed(audio.astype(np.float32)) for audio in (dry, dry, np.tanh(8 * dry))]
    assert vectors[0].shape == (512,)
    np.testing.assert_array_equal(vectors[0], vectors[1])
    assert np.linalg.norm(vectors[2] - vectors[0]) > 0.1 * np.linalg.norm(vectors[0])


def test_matchering_that_is_missing_is_said(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'blackbox-afx\[matchering\]'"):
        matchering_method.Matchering()
    with pytest.raises(UsageError, match="openl3 is not installed"):
        embeddings.OpenL3()


def test_matchering_matches_level_and_length():
    pytest.importorskip("matchering")
    source, reference = talk(1, 2.0), 0.3 * talk(2, 2.5)
    made = matchering_method.match_with_matchering(source, reference, RATE)
    assert (made.shape, made.dtype) == (source.shape, np.float32)
    before, after = (20 * np.log10(np.std(audio) / np.std(reference)) for audio in (source, made))
    assert before > 10
    assert abs(after) < 2
    # Resampling there and back keeps it in time.
    lag = np.argmax(scipy.signal.correlate(made, source, mode="same", method="fft")) - len(source) // 2
    assert abs(lag) <= 1


# The probe.


def test_f1_is_as_by_hand():
    truth, guess = np.array([0, 0, 1, 1, 2]), np.array([0, 1, 1, 1, 1])
    counts = confusion(truth, guess, 3)
    np.testing.assert_array_equal(counts, [[1, 1, 0], [0, 2, 0], [0, 1, 0]])
    # Precision and recall: 1 and 1/2; 2/4 and 1; none.
    assert mean_f1(counts) == pytest.approx((2 / 3 + 2 / 3 + 0) / 3)
    assert interval([0.5]) is None
    low, high = interval([0.4, 0.5, 0.6])
    assert (low, high) == pytest.approx((0.5 - 0.2484, 0.5 + 0.2484), abs=1e-3)


def test_the_probe_separates_what_can_be_and_not_what_cannot():
    rng = np.random.default_rng(0)
    classes = np.tile(np.arange(3), 20)
    places = 1000 + 50 * np.eye(3)[classes] + rng.standard_normal((60, 3))
    order = rng.permutation(60)
    parts = [Split(embeddings=places[some], classes=classes[some]) for some in np.split(order, [36, 48])]
    assert mean_f1(train_probe(*parts, classes=3, seed=0, epochs=400)) == 1.0
    noise = [Split(embeddings=rng.standard_normal((len(p.classes), 3)), classes=p.classes) for p in parts]
    assert mean_f1(train_probe(*noise, classes=3, seed=0, epochs=100)) < 0.8


def test_examples_are_split_by_recording():
    once = make_examples(clip_set(10, 6), segment=16384, least=12, most=24, seed=0)
    assert sorted(example.stretch for example in once) == list(range(60))
    # Sixty stretches are too few for a hundred examples: some come again, in another style.
    examples = make_examples(clip_set(10, 6), segment=16384, least=20, most=20, seed=0)
    assert len(examples) == 100
    assert len({(example.style, example.stretch) for example in examples}) == 100
    assert {len(example.audio) for example in examples} == {16384}
    dealt = deal(examples, 20, np.random.default_rng(0))
    heard = [{examples[k].recording for k in rows} for rows in dealt.values()]
    assert not any(a & b for a, b in (*pairwise(heard), (heard[0], heard[2])))
    for rows in dealt.values():
        counts = np.bincount([examples[k].style for k in rows], minlength=5)
        assert len(set(counts)) == 1
        assert counts[0] >= 1
    with pytest.raises(AudioError, match="can't be dealt to three parts"):
        deal(examples[:9], 20, np.random.default_rng(0))
    assert LEAD > 0


def test_the_styles_command(tmp_path, capsys, corpus):
    controller = untrained(tmp_path / "c.safetensors", [builtin_profile("ChannelStrip")])
    arguments = ["styles", "--audio", str(corpus), "--controller", str(controller), "--segment", "16384"]
    arguments += ["--embedding", "random-mel", "statistics", "openl3", "--repeats", "2", "--epochs", "200"]
    status, out, err = afx(capsys, *arguments, "--out", str(tmp_path / "s.json"))
    assert status == 0, err
    report = json.loads((tmp_path / "s.json").read_text())
    assert set(report["embeddings"]) | set(report["left_out"]) == {"random-mel", "statistics", "openl3", "c"}
    for found in report["embeddings"].values():
        assert found["interval"][0] <= found["f1"] <= found["interval"][1]
    assert report["embeddings"]["random-mel"]["dimension"] == 4096
    # Chance has 0.2; an untrained controller's scaling clips what it hears, so nothing is asked of it.
    assert report["embeddings"]["statistics"]["f1"] > 0.4
    if importlib.util.find_spec("openl3") is None:
        assert "openl3 is not installed" in report["left_out"]["openl3"]
        assert "Left out: openl3" in out
