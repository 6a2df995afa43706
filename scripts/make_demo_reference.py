"""Make `demo/audio/reference/radio.flac`: a shipped voice with the sound of a radio presenter.

The style is made with effects that no chain of the demo holds: scipy's biquads and this project's own compressor, so
that the demo has to find its own way there. The voice is of the test split: the demo never learns from it, nor
transfers it.

    python scripts/make_demo_reference.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile as sf

from blackbox_afx.audio import normalise_peak
from blackbox_afx.data.dynamics import compress
from blackbox_afx.data.equaliser import equalise, section

DEMO = Path(__file__).resolve().parent.parent / "demo" / "audio"
VOICE = "test/darkman.flac"


def main() -> None:
    """Style the voice and write it."""
    audio, rate = sf.read(DEMO / VOICE, dtype="float32")
    bands = [
        section("low_shelf", 5.0, 160.0, 0.707, rate),
        section("peak", -4.0, 450.0, 0.9, rate),
        section("peak", 7.0, 3600.0, 0.8, rate),
        section("high_shelf", 6.0, 7000.0, 0.707, rate),
    ]
    level, _ = normalise_peak(equalise(audio, bands)[None], -12.0)
    dense = compress(level[0], rate, threshold=-36.0, ratio=4.0, attack=0.005, release=0.12, knee=6.0, makeup=0.0)
    loud, _ = normalise_peak(np.asarray(dense, np.float32)[None], -3.0)
    (DEMO / "reference").mkdir(exist_ok=True)
    sf.write(DEMO / "reference" / "radio.flac", loud[0], rate, subtype="PCM_16")


if __name__ == "__main__":
    main()
