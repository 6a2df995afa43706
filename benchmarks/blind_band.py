"""Show what a proxy's derivative doesn't see: each controller's error below and above the band of its recordings.

Claim: where recordings have nothing above 8 kHz, what a fast compressor leaves there is most of the difference between
controllers that learned through autodiff and through a proxy; with the compressor set as autodiff sets it, it is gone.

    python benchmarks/blind_band.py --audio recordings/ --where type=speech,source=librispeech-16k
        --controller ad.safetensors np.safetensors np_fh.safetensors --show Attack
        --swap Attack Threshold,Ratio Compressor --out blind.json

Pairs are the paper's, from the split ``val``. The plugins render every controller's settings, those of `np` and `ad`
too. ``--swap`` adds rows in which the controls whose names hold one of the texts are set by the first controller.
Printed are the mean distance of log magnitudes below and above the split frequency (dB, frames of 2048 samples, with
the floor that the STFT distance has there, -134 dBFS a bin), how loud the result is above it (dBFS), the STFT distance,
each over the speakers with its 95 % interval, and the mean position of the controls that ``--show`` names.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from scipy.signal import ShortTimeFFT

from blackbox_afx.benchmark.methods import load_methods
from blackbox_afx.benchmark.pairs import Pair, PairMaker
from blackbox_afx.benchmark.report import summarise_errors
from blackbox_afx.benchmark.synthetic import Errors, render_settings
from blackbox_afx.data import find_audio, load_clips
from blackbox_afx.metrics import score_pair
from blackbox_afx.plugins.chain_spec import ChainSpec
from blackbox_afx.plugins.farm import Farm

FRAME = 2048
WINDOW = np.hanning(FRAME)
FLOOR = 1e-4 / (WINDOW.sum() / 2)
COLUMNS = ("below_db", "above_db", "level_above_dbfs", "stft")


def magnitudes(audio: np.ndarray, rate: int) -> np.ndarray:
    """Give magnitudes, a sine at full scale being 1: float [bins, frames]."""
    return np.abs(ShortTimeFFT(WINDOW, FRAME // 2, rate).stft(audio)) / (WINDOW.sum() / 2)


def measure(target: np.ndarray, made: np.ndarray | None, rate: int, split_hz: float) -> list[float]:
    """Give the figures of `COLUMNS` for one pair."""
    if made is None:
        return [np.nan] * len(COLUMNS)
    ours, theirs = magnitudes(made, rate), magnitudes(target, rate)
    apart = np.abs(20 * np.log10(np.maximum(ours, FLOOR) / np.maximum(theirs, FLOOR)))
    at = round(split_hz * FRAME / rate)
    # A Hann window spreads a sine over one and a half bins, and a sine at full scale has a power of a half.
    power = np.square(ours[at:]).sum(axis=0).mean() / 1.5 / 2
    stft = score_pair(target, made, rate, ("stft",))["stft"]
    return [apart[:at].mean(), apart[at:].mean(), 10 * np.log10(power + 1e-20), stft]


def settings(options: argparse.Namespace, pairs: list[Pair], rate: int) -> tuple[ChainSpec, dict[str, np.ndarray]]:
    """Give the chain, and positions [pairs, controls] by row."""
    methods = load_methods(options.controller, on_plugins="instead")
    spec = methods[0].spec
    found = {method.name: method.predict(pairs, rate) for method in methods}
    first = next(iter(found))
    for name, positions in list(found.items())[1:]:
        for texts in options.swap:
            swapped = positions.copy()
            columns = [k for k, label in enumerate(spec.names) if any(text in label for text in texts.split(","))]
            swapped[:, columns] = found[first][:, columns]
            found[f"{name}, {first}'s {texts}"] = swapped
    return spec, found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--audio", type=Path, required=True)
    parser.add_argument("--where", default=None)
    parser.add_argument("--controller", nargs="+", required=True)
    parser.add_argument("--show", nargs="*", default=[])
    parser.add_argument("--swap", nargs="*", default=[])
    parser.add_argument("--split-hz", type=float, default=8000.0)
    parser.add_argument("--pairs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--out", type=Path, default=None)
    options = parser.parse_args()
    card = load_methods(options.controller[:1])[0].card
    rate, segment = card.sample_rate, card.segment
    collection = find_audio(options.audio, where=options.where, purpose="benchmark", seed=options.seed)
    clips = load_clips(collection, "val", sample_rate=rate, seed=options.seed)
    maker = PairMaker(clips, "paper", None, seed=options.seed, segment=segment)
    with Farm() as farm:
        pairs = maker.draw(farm, 0, options.pairs)
        spec, rows = settings(options, pairs, rate)
        made = {name: render_settings(spec, pairs, positions, rate, farm)[0] for name, positions in rows.items()}

    def table(results: list[Any]) -> np.ndarray:
        return np.array(
            [measure(pair.target, audio, rate, options.split_hz) for pair, audio in zip(pairs, results, strict=True)]
        )

    errors = Errors(
        metrics=COLUMNS,
        speakers=tuple(pair.speaker for pair in pairs),
        input=table([pair.source for pair in pairs]),
        methods={name: table(results) for name, results in made.items()},
        failed={name: sum(audio is None for audio in results) for name, results in made.items()},
    )
    report = summarise_errors(errors, options.seed)
    report["positions"] = {
        name: {label: float(value) for label, value in zip(spec.names, positions.mean(axis=0), strict=True)}
        for name, positions in rows.items()
    }
    report |= {"pairs": len(pairs), "seed": options.seed, "split": "val", "split_hz": options.split_hz}
    if options.out:
        options.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(f"{len(pairs)} pairs of {len(maker.speakers)} speakers; below and above {options.split_hz:g} Hz\n")
    print(
        "| settings of | below (dB) | above (dB) | level above (dBFS) | STFT | mean positions |\n"
        "|---|---|---|---|---|---|"
    )
    for name, found in {"input": report["input"], **report["methods"]}.items():
        cells = []
        for column, digits in zip(COLUMNS, (2, 2, 0, 3), strict=True):
            low, high = found["interval"][column]
            cells.append(f"{found[column]:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})")
        shown = report["positions"].get(name, {})
        cells.append("; ".join(f"{k} {v:.2f}" for k, v in shown.items() if any(text in k for text in options.show)))
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
