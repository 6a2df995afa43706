"""The bench that drives Ardour, with an Ardour of ours that crashes, hangs and stops half-way."""

from __future__ import annotations

import stat
from pathlib import Path

import numpy as np
import pytest
import soundfile

from blackbox_afx.testing.ardour import ArdourBench, ArdourError, Tools, is_dry


def fake_ardour(folder: Path, script: str) -> Tools:
    """An export tool of ours, to see what the bench makes of crashes: real ones come about once in ten runs."""
    tool = folder / "ardour9-export"
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
    return Tools(version=9, export=tool, lua=tool, scanner=tool, libraries=folder)


def test_a_crash_after_the_file_was_written_is_no_failure(tmp_path: Path) -> None:
    """The file counts, not the exit status, where a second start gives the same."""
    soundfile.write(tmp_path / "good.wav", np.full((100, 2), 0.5), 48000, subtype="FLOAT")
    bench = ArdourBench(tmp_path, fake_ardour(tmp_path, f"cp {tmp_path}/good.wav $4; kill -SEGV $$"))
    played = bench.export(tmp_path / "s.ardour", 100)
    assert played.ends == (-11, -11)
    assert played.audio.shape == (2, 100)


def test_a_crash_before_that_is_tried_again(tmp_path: Path) -> None:
    """Nothing, then half a file, then a whole one."""
    soundfile.write(tmp_path / "good.wav", np.full((100, 2), 0.5), 48000, subtype="FLOAT")
    soundfile.write(tmp_path / "half.wav", np.full((50, 2), 0.5), 48000, subtype="FLOAT")
    script = (
        f"echo x >> {tmp_path}/count; n=$(wc -l < {tmp_path}/count)\n"
        "test $n = 1 && kill -ABRT $$\n"
        f"test $n = 2 && cp {tmp_path}/half.wav $4 && exit 0\n"
        f"cp {tmp_path}/good.wav $4"
    )
    played = ArdourBench(tmp_path, fake_ardour(tmp_path, script)).export(tmp_path / "s.ardour", 100)
    assert played.tries == 3
    assert played.ends == (-6, 0, 0)


def test_damaged_files_are_not_taken(tmp_path: Path) -> None:
    """Samples beyond all bounds, or other ones after each crash: tried again."""
    soundfile.write(tmp_path / "good.wav", np.full((100, 2), 0.5), 48000, subtype="FLOAT")
    soundfile.write(tmp_path / "odd.wav", np.full((100, 2), 0.4), 48000, subtype="FLOAT")
    soundfile.write(tmp_path / "wild.wav", np.full((100, 2), 1e9), 48000, subtype="FLOAT")
    script = (
        f"echo x >> {tmp_path}/count; n=$(wc -l < {tmp_path}/count)\n"
        f"test $n = 1 && cp {tmp_path}/wild.wav $4 && exit 0\n"
        f"test $n = 2 && cp {tmp_path}/odd.wav $4 && kill -ABRT $$\n"
        f"cp {tmp_path}/good.wav $4"
    )
    played = ArdourBench(tmp_path, fake_ardour(tmp_path, script)).export(tmp_path / "s.ardour", 100)
    assert played.ends == (0, -6, 0)
    assert played.audio[0, 0] == 0.5


def test_what_is_far_from_expected_is_tried_again(tmp_path: Path) -> None:
    """The nearest is given back, with how often it took; whether that is near enough is the caller's to say."""
    for k, value in enumerate((0.3, 0.45, 0.4, 0.2), start=1):
        soundfile.write(tmp_path / f"{k}.wav", np.full((100, 2), value), 48000, subtype="FLOAT")
    script = f"echo x >> {tmp_path}/count; n=$(wc -l < {tmp_path}/count)\ncp {tmp_path}/$n.wav $4"
    bench = ArdourBench(tmp_path, fake_ardour(tmp_path, script))
    expected = np.full((1, 100), 0.5, np.float32)
    played = bench.export(tmp_path / "s.ardour", 100, expected=expected)
    assert played.tries == 4
    assert played.audio[0, 0] == np.float32(0.45)


def test_crashes_and_hangs_without_end_are_an_error(tmp_path: Path) -> None:
    """Four starts at the most, each ended in time; the error says how they ended."""
    bench = ArdourBench(tmp_path, fake_ardour(tmp_path, "echo no sound card; exit 3"))
    with pytest.raises(ArdourError, match=r"4 starts \(\[3, 3, 3, 3\]\).*no sound card"):
        bench.export(tmp_path / "s.ardour", 100)
    bench = ArdourBench(tmp_path, fake_ardour(tmp_path, "exec sleep 20"))
    with pytest.raises(ArdourError, match="hang"):
        bench.export(tmp_path / "s.ardour", 100, tries=2, timeout_s=0.2)


def test_dry_audio_is_told_from_wet() -> None:
    """The input itself, on both sides, is dry; a hundredth of a dB is not."""
    dry = np.random.default_rng(0).standard_normal((1, 1000)).astype(np.float32)
    assert is_dry(np.repeat(dry, 2, axis=0), dry)
    assert not is_dry(np.repeat(dry, 2, axis=0) * np.float32(10 ** (0.01 / 20)), dry)
