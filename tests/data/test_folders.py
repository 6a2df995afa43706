"""Finding recordings: manifests, filters, splits, unreadable files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blackbox_afx.audio import write_audio
from blackbox_afx.data import find_audio
from blackbox_afx.data.manifest import parse_where
from blackbox_afx.data.splits import hold_out
from blackbox_afx.errors import AudioError, UsageError

RATE = 8000


def put(path: Path, seconds: float = 0.1, channels: int = 1) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (channels, round(seconds * RATE)))
    write_audio(path, noise.astype(np.float32), RATE)


@pytest.fixture
def with_manifest(tmp_path) -> Path:
    lines = ["path,split,type,source,speaker_or_artist"]
    for i in range(4):
        kind, split = ("speech", "music")[i % 2], ("train", "train", "val", "test")[i]
        put(tmp_path / kind / f"{i}.flac", channels=1 + i % 2)
        lines.append(f"{kind}/{i}.flac,{split},{kind},corpus{i // 2},who {i}")
    (tmp_path / "MANIFEST.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    put(tmp_path / "unlisted.wav")
    return tmp_path


def names(recordings) -> list[str]:
    return [recording.path.name for recording in recordings]


def test_a_manifest_is_honoured(with_manifest):
    found = find_audio(with_manifest)
    assert names(found.recordings) == ["0.flac", "1.flac", "2.flac", "3.flac"]
    assert [recording.split for recording in found.recordings] == ["train", "train", "val", "test"]
    second = found.recordings[1]
    assert (second.type, second.source, second.speaker) == ("music", "corpus0", "who 1")
    assert (second.sample_rate, second.channels, second.duration) == (RATE, 2, 0.1)
    assert find_audio(with_manifest, purpose="benchmark") == found


def test_filters(with_manifest):
    assert names(find_audio(with_manifest, where="type=speech").recordings) == ["0.flac", "2.flac"]
    assert names(find_audio(with_manifest, where="type=speech, source=corpus1").recordings) == ["2.flac"]
    either = find_audio(with_manifest, where="speaker_or_artist=who 0|who 3")
    assert names(either.recordings) == ["0.flac", "3.flac"]
    assert parse_where("a=b=c, d=") == {"a": {"b=c"}, "d": {""}}


def test_wrong_filters_say_what_there_is(with_manifest, tmp_path):
    with pytest.raises(UsageError, match="path, split, type, source, speaker_or_artist"):
        find_audio(with_manifest, where="kind=speech")
    with pytest.raises(UsageError, match=r"type = music \| speech"):
        find_audio(with_manifest, where="type=noise")
    with pytest.raises(UsageError, match="expected column=value"):
        find_audio(with_manifest, where="speech")
    put(tmp_path / "plain" / "a.wav")
    with pytest.raises(UsageError, match=r"no MANIFEST\.csv"):
        find_audio(tmp_path / "plain", where="type=speech")
    with pytest.raises(UsageError, match="learn, benchmark"):
        find_audio(with_manifest, purpose="listen")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("file,split\na.wav,train\n", "expected a column 'path'"),
        ("path,split\n", "lists no recordings"),
        ("path,split\n../secret.wav,train\n", "line 2: path '../secret.wav'"),
        ("path,split\na.wav,holdout\n", "line 2: split 'holdout'"),
    ],
)
def test_wrong_manifests_say_where(tmp_path, text, reason):
    (tmp_path / "MANIFEST.csv").write_text(text)
    with pytest.raises(AudioError, match=reason):
        find_audio(tmp_path)


def test_a_manifest_without_splits_is_dealt_out(tmp_path):
    for i in range(20):
        put(tmp_path / f"{i:02}.wav")
    (tmp_path / "MANIFEST.csv").write_text("path\n" + "".join(f"{i:02}.wav\n" for i in range(20)))
    found = find_audio(tmp_path)
    assert (len(found.in_split("train")), len(found.in_split("val"))) == (18, 2)


def test_a_plain_folder_is_split_by_speaker(tmp_path):
    for speaker in range(10):
        for take in range(3):
            put(tmp_path / f"speaker {speaker}" / f"{take}.wav")
    found = find_audio(tmp_path, seed=1)
    held = {recording.speaker for recording in found.in_split("val")}
    assert len(held) == 1
    assert len(found.in_split("val")) == 3
    assert held.isdisjoint(recording.speaker for recording in found.in_split("train"))
    assert found == find_audio(tmp_path, seed=1)
    chosen = {find_audio(tmp_path, seed=seed).in_split("val")[0].speaker for seed in range(8)}
    assert len(chosen) > 1
    assert find_audio(tmp_path, purpose="benchmark").splits == ("test",)
    assert len(found.speakers) == 10


def test_a_benchmark_takes_all_of_a_plain_folder_for_the_split_it_asks_for(tmp_path, with_manifest):
    put(tmp_path / "plain" / "a.wav")
    put(tmp_path / "plain" / "b.wav")
    for split in ("val", "test"):
        found = find_audio(tmp_path / "plain", purpose="benchmark", split=split)
        assert len(found.in_split(split)) == 2
    # A manifest's own splits are honoured, whatever is asked for.
    assert find_audio(with_manifest, purpose="benchmark", split="val") == find_audio(with_manifest, purpose="benchmark")


def test_few_sub_folders_are_split_by_file(tmp_path):
    for kind in ("bass", "drums"):
        for take in range(5):
            put(tmp_path / kind / f"{take}.wav")
    found = find_audio(tmp_path)
    assert (len(found.in_split("train")), len(found.in_split("val"))) == (9, 1)
    assert found.speakers == ("bass", "drums")


def test_sub_folders_named_as_splits_are_splits(tmp_path):
    for split in ("train", "dev", "test"):
        put(tmp_path / split / "ann" / f"{split}.wav")
    found = find_audio(tmp_path)
    assert found.splits == ("test", "train", "val")
    assert found.speakers == ("ann",)


def test_a_single_recording_is_cut_in_time(tmp_path):
    put(tmp_path / "only.wav", seconds=2.0)
    first, last = find_audio(tmp_path).recordings
    assert (first.split, first.start, first.duration) == ("train", 0.0, pytest.approx(1.8))
    assert (last.split, last.start, last.duration) == ("val", pytest.approx(1.8), pytest.approx(0.2))
    assert len(find_audio(tmp_path, purpose="benchmark").recordings) == 1


def test_unreadable_files_are_skipped_counted_and_named(tmp_path):
    put(tmp_path / "good.wav")
    (tmp_path / "bad.wav").write_bytes(b"RIFF nothing of the kind")
    (tmp_path / "empty.flac").write_bytes(b"")
    (tmp_path / ".hidden.wav").write_bytes(b"x")
    found = find_audio(tmp_path, purpose="benchmark")
    assert names(found.recordings) == ["good.wav"]
    assert names(found.skipped) == ["bad.wav", "empty.flac"]
    assert "2 left out as unreadable: bad.wav, empty.flac" in found.describe()
    (tmp_path / "good.wav").unlink()
    with pytest.raises(AudioError, match="none of its 2 files can be read"):
        find_audio(tmp_path)


def test_folders_without_audio_are_an_error(tmp_path):
    with pytest.raises(AudioError, match="holds no audio"):
        find_audio(tmp_path)
    with pytest.raises(AudioError, match="no such folder"):
        find_audio(tmp_path / "missing")
    with pytest.raises(AudioError, match="no such folder"):
        find_audio(tmp_path / "missing", where="type=speech")


@given(st.sets(st.text(min_size=1, max_size=5), max_size=60), st.integers(0, 1000))
def test_some_but_never_all_are_held_out(groups, seed):
    held = hold_out(sorted(groups), seed)
    assert held == hold_out(sorted(groups, reverse=True), seed)
    assert held <= groups
    if len(groups) > 1:
        assert len(held) == max(1, round(0.1 * len(groups)))
    else:
        assert not held
