"""The before/after picture and the curves in it."""

from __future__ import annotations

import struct

import numpy as np
import pytest
import soundfile

from blackbox_afx.errors import OutputError, UsageError
from blackbox_afx.plot.before_after import check_plot, long_term_spectrum, plot_transfer, short_term_level

RATE = 24000


def sine(hertz: float, peak: float, seconds: float = 2.0) -> np.ndarray:
    return (peak * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


def test_the_level_is_the_rms():
    times, level = short_term_level(np.concatenate([sine(1000, 0.5), np.zeros(RATE, np.float32)]), RATE)
    assert np.allclose(level[:20], 20 * np.log10(0.5) - 3.01, atol=0.02)
    assert np.allclose(level[20:], -90)
    assert np.allclose(np.diff(times), 0.1)
    assert len(short_term_level(np.zeros(10, np.float32), RATE)[0]) == 1


@pytest.mark.parametrize("hertz", [100.0, 1000.0, 6000.0])
def test_the_spectrum_peaks_where_a_sine_is(hertz):
    centres, level = long_term_spectrum(sine(hertz, 0.5), RATE)
    assert abs(np.log2(centres[np.argmax(level)] / hertz)) <= 1 / 6
    louder = long_term_spectrum(sine(hertz, 1.0), RATE)[1]
    assert louder.max() - level.max() == pytest.approx(6.02, abs=0.05)


@pytest.mark.parametrize("samples", [1, 100, 5000])
def test_short_or_silent_audio_is_drawn_too(samples):
    centres, level = long_term_spectrum(np.zeros(samples, np.float32), RATE)
    assert len(centres) == len(level)
    assert np.isfinite(level).all()


def control(name: str, position: float) -> dict:
    return {"name": name, "position": position, "text": f"{position:.2f} dB"}


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_a_picture_is_written_once_and_whole(tmp_path, suffix):
    files = []
    for k, name in enumerate(("in", "ref", "out")):
        files.append(tmp_path / f"{name}.wav")
        soundfile.write(files[-1], np.stack([sine(300 * (k + 1), 0.3, 0.7)] * 2, 1), 44100)
    plugins = [{"name": name, "controls": [control(f"c{k}", k / 30) for k in range(20)]} for name in ("A", "B")]
    path = plot_transfer(*files, plugins, tmp_path / f"p{suffix}", title="$ten_%")
    whole = path.read_bytes()
    assert len(whole) > 5000
    if suffix == ".png":
        width, height = struct.unpack(">II", whole[16:24])
        assert width > 1000
        # Forty controls need a line each.
        assert height > 40 * 0.24 * 110
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(["in.wav", "ref.wav", "out.wav", f"p{suffix}"])
    with pytest.raises(OutputError, match="--force"):
        plot_transfer(*files, plugins, path)
    plot_transfer(*files, [], path, force=True)
    assert path.read_bytes() != whole


def test_where_no_picture_can_be_drawn(tmp_path):
    with pytest.raises(UsageError, match=r"\.png"):
        check_plot(tmp_path / "p.jpg")
    with pytest.raises(OutputError, match="does not exist"):
        check_plot(tmp_path / "no" / "p.png")


def test_the_backend_of_the_program_that_draws_stays(tmp_path):
    import matplotlib

    matplotlib.use("svg")
    path = tmp_path / "in.wav"
    soundfile.write(path, sine(300, 0.3, 0.7), RATE)
    plot_transfer(path, path, path, [{"name": "A", "controls": [control("c", 0.5)]}], tmp_path / "p.png")
    assert matplotlib.get_backend().lower() == "svg"
