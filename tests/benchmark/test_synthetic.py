"""The synthetic benchmark: fair pairs, a perfect method has no error, averages by speaker, honest failures."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest

from blackbox_afx.benchmark import synthetic
from blackbox_afx.benchmark.methods import DefaultSettings, RandomSettings, common_chain, load_methods, make_baseline
from blackbox_afx.benchmark.pairs import PairMaker
from blackbox_afx.benchmark.report import markdown, summarise_errors
from blackbox_afx.benchmark.synthetic import Errors, run_synthetic
from blackbox_afx.cli import main as cli
from blackbox_afx.data import Clip, ClipSet, find_audio, load_clips
from blackbox_afx.errors import AudioError, FarmError, UsageError
from blackbox_afx.metrics import ALWAYS
from blackbox_afx.plugins.builtins import builtin_profile
from blackbox_afx.plugins.chain import ChainSpec
from blackbox_afx.plugins.farm import Farm
from tests.transfer.untrained import untrained

STRIP = builtin_profile("ChannelStrip")
SPEC = ChainSpec(profiles=(STRIP,))
SEGMENT = 32768


@pytest.fixture(scope="module")
def farm():
    with Farm(1) as farm:
        yield farm


@pytest.fixture(scope="module")
def clips(demo_audio) -> ClipSet:
    return load_clips(find_audio(demo_audio, where="type=speech", purpose="benchmark"), "test")


def maker(clips: ClipSet, protocol: str = "self", spec: ChainSpec | None = SPEC, seed: int = 1) -> PairMaker:
    return PairMaker(clips, protocol, spec, seed=seed, segment=SEGMENT)


class Oracle:
    """Know the answer."""

    name, spec = "oracle", SPEC

    def predict(self, pairs, sample_rate):
        return np.stack([pair.positions for pair in pairs])


def same(first, second) -> bool:
    return first.speaker == second.speaker and all(
        np.array_equal(getattr(first, part), getattr(second, part)) for part in ("source", "reference", "target")
    )


@pytest.mark.parametrize("protocol", ["self", "paper"])
def test_pairs_are_the_seeds_alone(clips, farm, protocol):
    whole = maker(clips, protocol).draw(farm, 0, 6)
    again = maker(clips, protocol)
    parts = again.draw(farm, 0, 2) + again.draw(farm, 2, 4)
    assert len(whole) == 6
    assert all(map(same, whole, parts))
    assert not any(map(same, whole, maker(clips, protocol, seed=2).draw(farm, 0, 6)))
    for pair in whole:
        assert pair.source.shape == pair.reference.shape == pair.target.shape == (SEGMENT,)
    # In one of a hundred pairs the paper's recipe happens to change neither side.
    assert sum(np.abs(pair.source - pair.target).max() > 1e-3 for pair in whole) >= 5


def test_targets_are_the_chain_at_the_settings_told(clips, farm):
    pair = maker(clips).draw(farm, 3, 1)[0]
    with SPEC.open() as chain:
        np.testing.assert_array_equal(chain.render(pair.source[None], pair.positions, 24000)[0], pair.target)
    assert max(np.abs(pair.source).max(), 10 ** (-12 / 20)) == pytest.approx(10 ** (-12 / 20), rel=1e-5)


def test_speakers_take_turns(clips, farm):
    drawn = maker(clips, "paper").draw(farm, 0, 10)
    counts = [[pair.speaker for pair in drawn].count(name) for name in {pair.speaker for pair in drawn}]
    assert len(counts) == 4
    assert max(counts) - min(counts) <= 1


def test_only_the_test_split_is_used(clips, demo_audio):
    assert {clip.path.parent.name for clip in clips.clips} == {"test"}
    assert len(clips.clips) == 4


def test_a_perfect_method_has_no_error_and_the_defaults_the_inputs(clips, farm, monkeypatch):
    monkeypatch.setattr(synthetic, "PORTION", 3)
    steps = []
    errors = run_synthetic(
        maker(clips),
        [Oracle(), DefaultSettings(SPEC), RandomSettings(SPEC, 1)],
        farm,
        pairs=8,
        progress=lambda done, total: steps.append((done, total)),
    )
    assert steps == [(3, 8), (6, 8), (8, 8)]
    assert errors.input.shape == (8, len(ALWAYS))
    assert np.nanmax(errors.methods["oracle"]) == 0
    assert np.all(errors.input[:, 0] > 0.1)
    # Filters of 0 dB and a compressor with ratio 1 leave the input as it is.
    np.testing.assert_allclose(errors.methods["defaults"], errors.input, rtol=1e-3, atol=1e-3)
    assert np.nanmean(errors.methods["random"][:, 0]) > 0.5 * errors.input[:, 0].mean()
    summary = summarise_errors(errors, 0)
    assert summary["ratio"]["oracle"]["stft"] == 0
    assert summary["ratio"]["defaults"]["stft"] == pytest.approx(1, abs=1e-3)


class KnowsTheTarget:
    """Make the audio itself: the target, but for one pair of four."""

    name, spec = "knows", None

    def render(self, pairs, sample_rate):
        return [None if pair.index % 4 == 3 else pair.target for pair in pairs]


def test_methods_may_render_themselves(clips, farm):
    rules = make_baseline("rb-dsp", SPEC, 0)
    errors = run_synthetic(maker(clips, "paper"), [rules], farm, pairs=2)
    assert errors.failed == {"target": 0, "rb-dsp": 0}
    assert np.isfinite(errors.methods["rb-dsp"]).all()
    assert not np.allclose(errors.methods["rb-dsp"], errors.input)
    with pytest.raises(FarmError, match=r"renders of knows failed among the first 4 of 4.*made nothing of pair 3"):
        run_synthetic(maker(clips, "paper"), [KnowsTheTarget()], farm, pairs=4)
    errors = run_synthetic(maker(clips, "paper"), [KnowsTheTarget()], farm, pairs=3)
    assert np.nanmax(errors.methods["knows"]) == 0


def test_the_table_averages_by_speaker_and_counts_what_has_no_figure():
    errors = Errors(
        metrics=("stft", "lufs_db"),
        speakers=("anna", "anna", "anna", "ben"),
        input=np.array([[2.0, 1.0], [2.0, 1.0], [2.0, 1.0], [6.0, 1.0]]),
        methods={"m": np.array([[1.0, np.nan], [2.0, 0.5], [3.0, 0.5], [0.0, 0.5]])},
        failed={"target": 0, "m": 0},
    )
    summary = summarise_errors(errors, 0)
    assert summary["input"]["stft"] == pytest.approx((2 + 6) / 2)
    assert summary["methods"]["m"]["stft"] == pytest.approx((2 + 0) / 2)
    assert summary["ratio"]["m"]["stft"] == pytest.approx(1 / 4)
    assert summary["ratio"]["m"]["lufs_db"] == pytest.approx(0.5)
    low, high = summary["ratio"]["m"]["interval"]["stft"]
    # Drawing two speakers of two gives anna twice (2/2), both, or ben twice (0/6).
    assert (low, high) == (0, 1)
    assert summary["speakers"] == {"anna": 3, "ben": 1}
    assert summary["unmeasured"]["m"] == {"stft": 0, "lufs_db": 1}
    text = markdown({"protocol": "self", "pairs": 4, "seed": 0, **summary})
    assert "| m      | 0.250 (0.00 to 1.00) |" in text
    assert "LUFS (dB) could not be measured on 1 of 4 pairs of m." in text


def test_methods_are_compared_on_the_same_pairs():
    """One that is a tenth better on every pair is surely better, however much pairs differ."""
    rng = np.random.default_rng(0)
    worse = rng.lognormal(0.0, 1.0, (40, 1))
    errors = Errors(
        metrics=("stft",),
        speakers=tuple(f"s{k // 2}" for k in range(40)),
        input=np.ones((40, 1)),
        methods={"a": 0.9 * worse, "b": worse},
        failed={},
    )
    summary = summarise_errors(errors, 0)
    (low, high), (lowest, highest) = (
        summary[part][name]["interval"]["stft"] for part, name in (("first_over", "b"), ("ratio", "a"))
    )
    assert (low, high) == pytest.approx((0.9, 0.9))
    assert highest - lowest > 0.3
    assert list(summary["first_over"]) == ["b"]
    text = markdown({"protocol": "self", "pairs": 40, "seed": 0, **summary})
    assert "Mean error of a as a share of each other method's" in text
    assert "| b      | 0.900 (0.90 to 0.90) |" in text
    alone = summarise_errors(msgspec.structs.replace(errors, methods={"a": worse}), 0)
    assert "first_over" not in alone


def test_sources_have_tables_of_their_own():
    rng = np.random.default_rng(0)
    rows = rng.random((6, 2))
    errors = Errors(
        metrics=("stft", "pesq"),
        speakers=("a", "a", "b", "b", "c", "c"),
        sources=("studio",) * 4 + ("radio",) * 2,
        input=np.ones((6, 2)),
        methods={"m": np.where([[False, True]] + [[False, False]] * 5, np.nan, rows)},
        failed={},
    )
    summary = summarise_errors(errors, 0)
    assert list(summary["sources"]) == ["radio", "studio"]
    assert (summary["sources"]["studio"]["pairs"], summary["sources"]["studio"]["speakers"]) == (4, 2)
    assert summary["sources"]["radio"]["ratio"]["m"]["stft"] == pytest.approx(rows[4:, 0].mean())
    # A pair that PESQ failed on is counted apart and is no zero.
    assert summary["unmeasured"]["m"] == {"stft": 0, "pesq": 1}
    assert summary["methods"]["m"]["pesq"] == pytest.approx(
        np.mean([rows[1, 1], rows[2:4, 1].mean(), rows[4:, 1].mean()])
    )
    text = markdown({"protocol": "self", "pairs": 6, "seed": 0, **summary})
    assert "Of these from studio, 4 pairs, 2 speakers or artists" in text
    assert "PESQ could not be measured on 1 of 6 pairs of m." in text


def test_failed_renders_stop_the_benchmark(clips, farm):
    broken = ChainSpec(
        profiles=(msgspec.structs.replace(STRIP, identity=msgspec.structs.replace(STRIP.identity, plugin_name="Nope")),)
    )
    with pytest.raises(FarmError, match=r"renders of defaults failed.*Nope.*probe the plugin again"):
        run_synthetic(maker(clips), [DefaultSettings(broken)], farm, pairs=4)
    with pytest.raises(FarmError, match="targets failed"):
        run_synthetic(maker(clips, spec=broken), [DefaultSettings(SPEC)], farm, pairs=4)


def test_recordings_that_do_not_suit_are_refused(clips, farm):
    short = ClipSet(
        clips=tuple(msgspec.structs.replace(clip, audio=clip.audio[:1000]) for clip in clips.clips), sample_rate=24000
    )
    with pytest.raises(AudioError, match="use longer recordings"):
        maker(short)
    hush = ClipSet(
        clips=(Clip(audio=np.zeros(SEGMENT * 3, np.float32), speaker="x", path=Path("x"), start=0.0),),
        sample_rate=24000,
    )
    with pytest.raises(FarmError, match="mostly silent"):
        run_synthetic(maker(hush), [DefaultSettings(SPEC)], farm, pairs=2)


def test_controllers_are_named_apart_and_compared_only_where_they_can_be(tmp_path):
    compressor = builtin_profile("Compressor")
    first = untrained(tmp_path / "voice.safetensors", [STRIP])
    (tmp_path / "b").mkdir()
    second = untrained(tmp_path / "b" / "voice.safetensors", [STRIP], seed=1)
    shipped = untrained(tmp_path / "b" / "weights.safetensors", [compressor])
    methods = load_methods([first, second, shipped])
    assert [method.name for method in methods] == ["voice", "voice-2", "b"]
    assert common_chain(methods[:2]).label == "ChannelStrip"
    with pytest.raises(UsageError, match=r"b sets Compressor, voice sets ChannelStrip.*separate calls"):
        common_chain(methods)
    other_rate = untrained(tmp_path / "cd.safetensors", [STRIP], rate=44100)
    with pytest.raises(UsageError, match="24000 Hz and 44100 Hz"):
        load_methods([first, other_rate])


# The command.


def afx(capsys, *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as leaving:
        cli.main(["benchmark", "synthetic", *arguments])
    out, err = capsys.readouterr()
    return int(leaving.value.code or 0), out, err


@pytest.fixture
def speech(tmp_path, demo_audio) -> Path:
    """A plain folder of two recordings, read whole."""
    folder = tmp_path / "speech"
    folder.mkdir()
    for name in ("lili", "louis"):
        shutil.copy(demo_audio / "test" / f"{name}.flac", folder)
    return folder


def test_both_protocols_write_two_files_and_the_tables(tmp_path, capsys, demo_audio):
    controller = untrained(tmp_path / "c.safetensors", [STRIP])
    arguments = ["--audio", str(demo_audio), "--where", "type=speech", "--controller", str(controller)]
    arguments += ["--pairs", "8", "--protocol", "both", "--out", str(tmp_path / "b.json")]
    status, out, err = afx(
        capsys,
        *arguments,
        "--markdown",
        str(tmp_path / "b.md"),
        "--baseline",
        "defaults",
        "--plot",
        str(tmp_path / "b.png"),
    )
    assert status == 0, err
    assert out == (tmp_path / "b.md").read_text()
    for protocol in ("self", "paper"):
        assert (tmp_path / f"b.{protocol}.png").stat().st_size > 5000
    for protocol in ("self", "paper"):
        report = json.loads((tmp_path / f"b.{protocol}.json").read_text())
        assert report["protocol"] == protocol
        assert (report["pairs"], report["seed"], report["segment"]) == (8, 42, 65536)
        assert list(report["ratio"]) == list(report["methods"]) == ["c", "defaults"]
        for figures in (report["input"], *report["methods"].values(), *report["ratio"].values()):
            assert set(figures) == {*ALWAYS, "interval"}
            assert set(figures["interval"]) == set(ALWAYS)
            assert figures["interval"]["stft"][0] <= figures["stft"] <= figures["interval"]["stft"][1]
        assert report["versions"]["pedalboard"]
        assert report["speakers"]
        assert set(report["speakers"].values()) == {2}
        assert f"Protocol {protocol}, 8 pairs, 4 speakers or artists" in out


def test_json_and_the_same_twice(tmp_path, capsys, speech):
    controller = untrained(tmp_path / "c.safetensors", [STRIP])
    reports = []
    for jobs in ("1", "2"):
        place = tmp_path / f"{jobs}.json"
        arguments = ["--audio", str(speech), "--controller", str(controller), "--out", str(place), "--json"]
        status, out, err = afx(capsys, *arguments, "--pairs", "3", "--jobs", jobs, "--segment", "32768")
        assert status == 0, err
        report = json.loads(out)
        assert report == json.loads(place.read_text())
        reports.append({key: report[key] for key in ("input", "methods", "ratio", "speakers")})
    assert reports[0] == reports[1]
    assert set(reports[0]["speakers"]) == {"lili", "louis"}


BAD = {
    "no audio": (["--audio", "nowhere"], 1, "no such folder"),
    "no pairs": (["--pairs", "0"], 2, "--pairs 0"),
    "no controller": (["--controller", "nothing.safetensors"], 2, "no such file"),
    "no manifest": (["--where", "type=speech"], 2, "has no MANIFEST.csv"),
    "existing": (["--out", "there.json"], 1, "exists; give --force"),
    "no folder": (["--out", "no/b.json"], 1, "does not exist"),
    "protocol": (["--protocol", "other"], 2, "other"),
    "few renders": (["--oracle", "5"], 2, "expected at least 20 renders"),
    "no source": (["--source", "studio"], 2, "source=studio"),
    "no picture": (["--plot", "b.txt"], 2, "can't draw"),
    "other chains": (["--controller", "c.safetensors", "d.safetensors"], 2, "must set the same chain"),
}


@pytest.mark.parametrize("what", BAD)
def test_wrong_requests_are_one_line(tmp_path, capsys, monkeypatch, speech, what):
    changed, status, told = BAD[what]
    monkeypatch.chdir(tmp_path)
    untrained(tmp_path / "c.safetensors", [STRIP])
    untrained(tmp_path / "d.safetensors", [builtin_profile("Compressor")])
    (tmp_path / "there.json").write_text("mine")
    options = {"--audio": ["speech"], "--controller": ["c.safetensors"], "--out": ["b.json"], changed[0]: changed[1:]}
    left, _, err = afx(capsys, *(word for name, words in options.items() for word in (name, *words)))
    assert left == status, err
    lines = [line for line in err.splitlines() if not line.startswith("benchmark: ")]
    assert len(lines) == 1, err
    assert told in lines[0]
    assert not (tmp_path / "b.json").exists()
    assert (tmp_path / "there.json").read_text() == "mine"


@pytest.mark.zam
def test_real_plugins_make_the_targets(tmp_path, capsys, speech):
    """Renders of ZamComp repeat: the settings that made the target have no error in worker processes either."""
    from blackbox_afx.plugins.locate import locate
    from blackbox_afx.plugins.probe import probe

    spec = ChainSpec(profiles=(probe(locate("ZamComp.vst3", "vst3"), bases=1).profile,))
    clips = load_clips(find_audio(speech, purpose="benchmark"), "test")
    oracle = Oracle()
    oracle.spec = spec
    with Farm(2) as farm:
        errors = run_synthetic(maker(clips, spec=spec), [oracle], farm, pairs=4)
    assert np.nanmax(errors.methods["oracle"]) == 0
    assert np.nanmin(errors.input[:, 0]) > 0.01
