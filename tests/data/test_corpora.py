"""Corpora in exactly their layouts, with audio of a tenth of a second: who is on which side, and what is said else."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from blackbox_afx.data import find_audio, headers, load_clips
from blackbox_afx.data.corpora import LAYOUTS, recognise, split_forced
from blackbox_afx.data.splits import deal_speakers
from blackbox_afx.errors import AudioError, UsageError

RATE = 24000


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("AFX_CACHE", str(tmp_path_factory.mktemp("cache")))


def put(path: Path, rate: int = RATE, seconds: float = 0.1, channels: int = 1) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = 0.1 * np.random.default_rng(0).standard_normal((round(rate * seconds), channels))
    soundfile.write(path, noise, rate)


def libritts(folder: Path, subsets=("train-clean-360", "dev-clean", "test-clean")) -> Path:
    for at, subset in enumerate(subsets):
        for speaker in range(4):
            who = f"{100 * (at + 1) + speaker}"
            for sentence in range(2):
                stem = folder / "LibriTTS" / subset / who / "128677" / f"{who}_128677_000010_{sentence:06d}"
                put(stem.with_suffix(".wav"))
                stem.with_suffix(".normalized.txt").write_text("Words.")
    (folder / "LibriTTS" / "SPEAKERS.txt").write_text(";ID |SEX|\n")
    return folder


def vctk(folder: Path) -> Path:
    base = folder / "VCTK-Corpus-0.92"
    for speaker in [*range(225, 236), "s5"]:
        who = speaker if speaker == "s5" else f"p{speaker}"
        for microphone in ("mic1", "mic2"):
            put(base / "wav48_silence_trimmed" / who / f"{who}_001_{microphone}.flac", 48000)
        (base / "txt" / who).mkdir(parents=True)
    (base / "speaker-info.txt").write_text("ID  AGE\n")
    return folder


def daps(folder: Path) -> Path:
    for version in ("cleanraw", "clean", "ipad_balcony1", "iphone_livingroom1"):
        for who in [f"{sex}{n}" for sex in "fm" for n in range(1, 11)]:
            put(folder / "daps" / version / f"{who}_script1_{version}.wav", 44100, 0.02)
    # macOS leaves these in the archive.
    (folder / "daps" / "cleanraw" / "._f1_script1_cleanraw.wav").write_bytes(b"\0")
    return folder


HEAD = "TRACK_ID\tARTIST_ID\tALBUM_ID\tPATH\tDURATION\tTAGS\n"


def jamendo_line(track: int, artist: int) -> str:
    path = f"{track % 100:02d}/{track}.mp3"
    return f"track_{track:07d}\tartist_{artist:06d}\talbum_000001\t{path}\t30.0\tgenre---rock\tmood/theme---dark\n"


def jamendo(folder: Path, low: bool = False, splits: bool = True) -> Path:
    part = {"train": [(214, 1), (215, 1), (948, 2)], "validation": [(1100, 3)], "test": [(1201, 4), (1300, 4)]}
    for name, tracks in part.items():
        for track, _ in tracks:
            audio = folder / "raw_30s" / ("audio-low" if low else "audio")
            put(audio / f"{track % 100:02d}" / f"{track}{'.low' if low else ''}.mp3", 44100, 0.3)
        table = folder / "data" / "splits" / "split-0" / f"autotagging-{name}.tsv"
        if splits:
            table.parent.mkdir(parents=True, exist_ok=True)
            table.write_text(HEAD + "".join(jamendo_line(*row) for row in tracks))
    (folder / "data").mkdir(exist_ok=True)
    everything = [row for rows in part.values() for row in rows]
    (folder / "data" / "autotagging.tsv").write_text(HEAD + "".join(jamendo_line(*row) for row in everything))
    return folder


def musdb18(folder: Path) -> Path:
    songs = {
        "train": [f"Artist {n} - Song" for n in range(5)] + ["Both Sides - One"],
        "test": ["Al James - Schoolboy Facination", "Both Sides - Two"],
    }
    for part, titles in songs.items():
        for title in titles:
            for stem in ("mixture", "vocals", "drums", "bass", "other"):
                put(folder / part / title / f"{stem}.wav", 44100, 0.02, 2)
    return folder


MAKERS = {"libritts": libritts, "vctk": vctk, "daps": daps, "jamendo": jamendo, "musdb18": musdb18}


def heard(found, split: str) -> set[str]:
    return {item.speaker for item in found.in_split(split)}


@pytest.mark.parametrize("name", MAKERS)
def test_layouts_are_recognised_and_nobody_is_on_two_sides(tmp_path, name):
    folder = MAKERS[name](tmp_path / "corpus")
    found = find_audio(folder)
    assert found.layout == name
    assert set(found.splits) == {"train", "val", "test"}
    assert not found.skipped
    for first, second in (("train", "val"), ("train", "test"), ("val", "test")):
        assert not heard(found, first) & heard(found, second)
    # The same for learning and benchmarks, whatever the seed; a forced layout finds the same.
    assert find_audio(folder, purpose="benchmark", seed=7).recordings == found.recordings
    assert find_audio(f"{name}:{folder}").recordings == found.recordings
    assert {item.source for item in found.recordings} == {name}
    assert LAYOUTS[name].title in found.describe()


def test_libritts_keeps_its_own_splits(tmp_path):
    found = find_audio(libritts(tmp_path))
    assert heard(found, "test") == {"300", "301", "302", "303"}
    assert heard(found, "val") == {"200", "201", "202", "203"}
    assert {item.type for item in found.recordings} == {"speech"}
    assert len(found.recordings) == 24
    one = find_audio(tmp_path, where="subset=dev-clean,speaker=200")
    assert [item.path.name for item in one.recordings] == [
        "200_128677_000010_000000.wav",
        "200_128677_000010_000001.wav",
    ]


def test_one_subset_of_libritts_is_split_by_speaker(tmp_path):
    folder = libritts(tmp_path) / "LibriTTS" / "train-clean-360"
    found = find_audio(folder)
    assert [len(heard(found, split)) for split in ("train", "val", "test")] == [2, 1, 1]
    # A test set alone has nothing to learn from.
    assert find_audio(tmp_path / "LibriTTS" / "test-clean").splits == ("test",)


def test_librispeech_is_read_too(tmp_path):
    for who in ("84", "174"):
        put(tmp_path / "LibriSpeech" / "dev-clean" / who / "121123" / f"{who}-121123-0000.flac", 16000)
    found = find_audio(tmp_path)
    assert (found.layout, heard(found, "val")) == ("libritts", {"84", "174"})


def test_vctk_takes_one_microphone(tmp_path):
    found = find_audio(vctk(tmp_path))
    assert len(found.recordings) == 12
    assert all(item.path.name.endswith("_mic1.flac") for item in found.recordings)
    assert {item.sample_rate for item in found.recordings} == {48000}
    assert len(find_audio(tmp_path, where="mic=mic1|mic2").recordings) == 24


def test_the_older_vctk_is_read(tmp_path):
    for who in ("p225", "p226", "p227"):
        put(tmp_path / "VCTK-Corpus" / "wav48" / who / f"{who}_003.wav", 48000)
    for place in (tmp_path, tmp_path / "VCTK-Corpus", tmp_path / "VCTK-Corpus" / "wav48"):
        found = find_audio(place)
        assert (found.layout, set(found.speakers)) == ("vctk", {"p225", "p226", "p227"})


def test_daps_takes_the_raw_studio_recordings(tmp_path):
    found = find_audio(daps(tmp_path))
    assert len(found.recordings) == 20
    assert {item.path.parent.name for item in found.recordings} == {"cleanraw"}
    assert [len(heard(found, split)) for split in ("train", "val", "test")] == [16, 2, 2]
    assert len(find_audio(tmp_path, where="version=ipad_balcony1|clean").recordings) == 40
    # One version's folder by itself is that version.
    assert len(find_audio(tmp_path / "daps" / "ipad_balcony1").recordings) == 20
    # A corpus that nothing was learned from is measured whole.
    whole = find_audio(tmp_path, where="split=train|val|test", purpose="benchmark")
    assert len(whole.in_split("test")) == 20


@pytest.mark.parametrize("low", [False, True])
def test_jamendo_looks_up_artists_and_split(tmp_path, low):
    found = find_audio(jamendo(tmp_path, low))
    assert heard(found, "train") == {"artist_000001", "artist_000002"}
    assert heard(found, "val") == {"artist_000003"}
    assert heard(found, "test") == {"artist_000004"}
    inside = find_audio(tmp_path / "raw_30s" / ("audio-low" if low else "audio"))
    assert [item.speaker for item in inside.recordings] == [item.speaker for item in found.recordings]


def test_jamendo_without_tables(tmp_path):
    jamendo(tmp_path, splits=False)
    found = find_audio(tmp_path)
    assert set(found.splits) == {"train", "val", "test"}
    (tmp_path / "data" / "autotagging.tsv").unlink()
    with pytest.raises(AudioError, match=r"no table of their artists.*mtg-jamendo-dataset"):
        find_audio(tmp_path)


def test_musdb_takes_mixtures_and_keeps_artists_apart(tmp_path):
    found = find_audio(musdb18(tmp_path))
    assert heard(found, "test") == {"Al James", "Both Sides"}
    assert found.apart == 5
    assert "5 left out" in found.describe()
    assert {(item.path.name, item.type) for item in found.recordings} == {("mixture.wav", "music")}
    stems = find_audio(tmp_path, where="stem=vocals|bass")
    assert {(item.path.name, item.type) for item in stems.recordings} == {("vocals.wav", "stem"), ("bass.wav", "stem")}


def test_packed_stems_are_an_error_that_says_what_to_get(tmp_path):
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "A - B.stem.mp4").write_bytes(b"\0\0\0 ftypisom")
    with pytest.raises(AudioError, match=r"AAC in MP4.*MUSDB18-HQ.*zenodo.org/records/3338373"):
        find_audio(tmp_path)


def test_clips_are_read_in_part_and_resampled(tmp_path):
    for who in range(225, 230):
        put(tmp_path / "wav48" / f"p{who}" / f"p{who}_001.wav", 48000, 6.0)
    clips = load_clips(find_audio(tmp_path), "train", sample_rate=24000, clip_seconds=2.0)
    assert {len(clip.audio) for clip in clips.clips} == {48000}
    assert {clip.start for clip in clips.clips} == {0.0, 2.0, 4.0}


def test_a_missing_corpus_says_where_to_get_it(tmp_path):
    with pytest.raises(
        AudioError, match=r"no such folder.*LibriTTS is at https://www.openslr.org/60/.*train-clean-360/"
    ):
        find_audio(tmp_path / "LibriTTS")
    with pytest.raises(AudioError, match=r"VCTK is at https://datashare.ed.ac.uk"):
        find_audio(f"vctk:{tmp_path / 'speech'}")
    put(tmp_path / "any" / "a.wav")
    with pytest.raises(AudioError, match=r"not laid out as DAPS; expected cleanraw/.*zenodo.org/records/4660670"):
        find_audio(f"daps:{tmp_path / 'any'}")
    with pytest.raises(UsageError, match=r"no layout is called 'musdb'; did you mean 'musdb18'"):
        find_audio(f"musdb:{tmp_path / 'any'}")
    with pytest.raises(AudioError, match=r"has no MANIFEST.csv"):
        find_audio(f"manifest:{tmp_path / 'any'}")


def test_filters_leave_out(tmp_path):
    daps(tmp_path)
    assert len(find_audio(tmp_path, where="version!=cleanraw|clean").recordings) == 40
    assert "f1" not in find_audio(tmp_path, where="speaker!=f1").speakers
    assert len(find_audio(tmp_path, where="speaker!=f1").recordings) == 19


def test_filters_know_the_layouts_columns(tmp_path):
    vctk(tmp_path)
    with pytest.raises(UsageError, match=r"the layout of VCTK has no column 'microphone'.*mic"):
        find_audio(tmp_path, where="microphone=mic2")


def test_a_corpus_can_be_taken_as_any_folder_and_a_manifest_comes_first(tmp_path):
    libritts(tmp_path)
    assert find_audio(f"folder:{tmp_path}").layout == ""
    inside = "LibriTTS/dev-clean/200/128677/200_128677_000010_000000.wav"
    (tmp_path / "MANIFEST.csv").write_text(f"path,split\n{inside},train\n")
    assert len(find_audio(tmp_path).recordings) == 1
    assert find_audio(f"libritts:{tmp_path}").layout == "libritts"
    put(tmp_path / "plain" / "100_200_300.wav")
    assert recognise(tmp_path / "plain") is None


def test_a_drive_and_a_folder_with_a_colon_are_no_layouts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("vctk:x").mkdir()
    assert split_forced("vctk:x") == ("", Path("vctk:x"))
    assert split_forced("C:/audio") == ("", Path("C:/audio"))
    assert split_forced("daps:/data/daps") == ("daps", Path("/data/daps"))


def test_held_out_speakers_are_always_the_same():
    rows = [{"split": "", "speaker": f"s{n % 150}"} for n in range(600)]
    splits, left_out = deal_speakers(rows)
    assert left_out == 0
    by = {split: {row["speaker"] for row, part in zip(rows, splits, strict=True) if part == split} for split in splits}
    assert {split: len(names) for split, names in by.items()} == {"train": 135, "val": 7, "test": 8}
    assert deal_speakers(rows) == (splits, 0)
    # One speaker cannot be held out.
    assert deal_speakers(rows[:1]) == (["train"], 0)


def test_headers_are_read_once(tmp_path, monkeypatch):
    monkeypatch.setattr(headers, "MIN_FILES", 1)
    folder = libritts(tmp_path)
    reads: list[Path] = []
    monkeypatch.setattr(headers, "info", lambda path, real=headers.info: (reads.append(path), real(path))[1])
    told = []
    first = find_audio(folder, progress=lambda done, total: told.append((done, total)))
    assert len(reads) == 24
    assert told[-1] == (24, 24)
    reads.clear()
    assert find_audio(folder) == first
    assert not reads
    # A file that changed is read again, alone, and a damaged index is made anew.
    changed = first.recordings[3].path
    put(changed, RATE, 0.2)
    os.utime(changed, ns=(1, 1))
    again = find_audio(folder)
    assert reads == [changed]
    assert again.recordings[3].duration == pytest.approx(0.2)
    headers.index_path(folder).write_bytes(b"\xc1")
    assert find_audio(folder) == again
