"""Show how well the colours of two recordings tell the difference of their styles, against their mean spectra.

Question: one half of a clip went through one style, the other half through another. What the two styles differ by in
each band is known, since either half can be heard in both. How far from that are the difference of the halves' mean
spectra and the difference of their colours?

    python benchmarks/colour.py --audio recordings/ --where type=speech

Prints mean absolute errors over bands in dB, overall gain left out, and their ratio.
"""

from __future__ import annotations

import argparse

import numpy as np

from blackbox_afx.data import find_audio, load_clips
from blackbox_afx.data.corruptions import corrupt_input, corrupt_target
from blackbox_afx.data.segments import ClipSampler
from blackbox_afx.features.mixture import active_shapes, shipped_mixture
from blackbox_afx.features.statistics import spectra

RATE, SEGMENT = 24000, 65536


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--audio", required=True)
    parser.add_argument("--where")
    parser.add_argument("--split", default="val")
    parser.add_argument("--pairs", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    collection = find_audio(options.audio, where=options.where, purpose="learn", seed=options.seed)
    clips = load_clips(collection, options.split, sample_rate=RATE, max_minutes=120.0, seed=options.seed)
    sampler = ClipSampler(rng, clips, SEGMENT, SEGMENT // 2, balance_speakers=True)
    errors = np.array([errors_of(rng, *sampler.draw()) for _ in range(options.pairs)])
    none, mean, colour = errors.mean(0)
    print(f"{options.pairs} pairs of the split {options.split}, seed {options.seed}: mean absolute error in dB")
    print(f"no difference {none:.2f}, mean spectra {mean:.2f}, colours {colour:.2f} ({colour / mean:.2f} of that)")


def errors_of(rng: np.random.Generator, first: np.ndarray, second: np.ndarray) -> list[float]:
    """Give the errors of no difference, of mean spectra and of colours for two halves of one clip."""
    whole, half = np.concatenate([first, second]), len(first)
    one, other = (style(rng, whole, RATE, quick=True) for style in (corrupt_input, corrupt_target))
    before, wanted, after = (spectra(part, RATE).decibels for part in (one[:half], other[:half], other[half:]))
    heard = [active_shapes(before), active_shapes(after)]
    loud = before.max(1)
    truth = (wanted - before)[loud > loud.max() - 40].mean(0)
    by_mean = heard[1].mean(0) - heard[0].mean(0)
    by_colour = shipped_mixture().separate(heard[1])[0] - shipped_mixture().separate(heard[0])[0]
    truth, by_mean, by_colour = (part - part.mean() for part in (truth, by_mean, by_colour))
    return [float(np.abs(found - truth).mean()) for found in (np.zeros_like(truth), by_mean, by_colour)]


if __name__ == "__main__":
    main()
