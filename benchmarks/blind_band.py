"""Show what a proxy's derivative doesn't see: each controller's error below and above the band of its recordings.

Claim: where recordings have nothing above 8 kHz, what a fast compressor puts there is most of the difference between
controllers that learned through autodiff and through a proxy; below it, and on full-band recordings, they are level.

    python benchmarks/blind_band.py --audio recordings/ --where type=speech,source=librispeech-16k
        --controller ad.safetensors np.safetensors np_fh.safetensors --show Attack Ratio

Pairs are the paper's, from the split ``val``. The plugins render every controller's settings, those of `np` and `ad`
too. Printed are the mean distance of log magnitudes below and above the split frequency (dB, frames of 2048 samples,
floor at -80 dB), the signed mean above it (positive: too much), the STFT distance, and the mean position of the
controls whose names hold one of the texts of ``--show``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from scipy.signal import ShortTimeFFT

from blackbox_afx.benchmark.methods import load_methods
from blackbox_afx.benchmark.pairs import PairMaker
from blackbox_afx.benchmark.synthetic import render
from blackbox_afx.data import find_audio, load_clips
from blackbox_afx.metrics import score_pair
from blackbox_afx.plugins.farm import Farm

FRAME = 2048
FLOOR_DB = -80.0


def decibels(audio: np.ndarray, rate: int) -> np.ndarray:
    """Give log magnitudes, float [bins, frames]."""
    analysis = ShortTimeFFT(np.hanning(FRAME), FRAME // 2, rate)
    return np.maximum(20 * np.log10(np.abs(analysis.stft(audio)) + 1e-12), FLOOR_DB)


def errors(target: np.ndarray, made: np.ndarray, rate: int, split_hz: float) -> tuple[float, float, float, float]:
    """Give the distance below and above the split, the signed mean above (dB), and the STFT distance."""
    difference = decibels(made, rate) - decibels(target, rate)
    at = round(split_hz * FRAME / rate)
    stft = score_pair(target, made, rate, ("stft",))["stft"]
    return np.abs(difference[:at]).mean(), np.abs(difference[at:]).mean(), difference[at:].mean(), stft


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--audio", type=Path, required=True)
    parser.add_argument("--where", default=None)
    parser.add_argument("--controller", nargs="+", required=True)
    parser.add_argument("--show", nargs="*", default=[])
    parser.add_argument("--split-hz", type=float, default=8000.0)
    parser.add_argument("--pairs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=42)
    options = parser.parse_args()
    methods = load_methods(options.controller, on_plugins="instead")
    rate, segment = methods[0].card.sample_rate, methods[0].card.segment
    found = find_audio(options.audio, where=options.where, purpose="benchmark", seed=options.seed)
    clips = load_clips(found, "val", sample_rate=rate, seed=options.seed)
    maker = PairMaker(clips, "paper", None, seed=options.seed, segment=segment)
    with Farm() as farm:
        pairs = maker.draw(farm, 0, options.pairs)
        rows = {"input": ([pair.source for pair in pairs], [])}
        for method in methods:
            positions = method.predict(pairs, rate)
            made, _ = render(method, pairs, rate, farm)
            shown = [
                f"{label} {positions[:, k].mean():.2f}"
                for k, label in enumerate(method.spec.space.names)
                if any(text in label for text in options.show)
            ]
            rows[method.name] = (made, shown)
    print(f"{len(pairs)} pairs of {len(maker.speakers)} speakers; dB below and above {options.split_hz:g} Hz\n")
    print("| method | below | above | signed above | STFT | mean positions |\n|---|---|---|---|---|---|")
    for name, (made, shown) in rows.items():
        scores = [
            errors(pair.target, audio, rate, options.split_hz)
            for pair, audio in zip(pairs, made, strict=True)
            if audio is not None
        ]
        below, above, signed, stft = np.mean(scores, axis=0)
        print(f"| {name} | {below:.2f} | {above:.2f} | {signed:+.2f} | {stft:.3f} | {'; '.join(shown)} |", flush=True)


if __name__ == "__main__":
    main()
