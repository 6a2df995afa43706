"""Claim: differentiable twins are the plugins, to the plugins' own rounding; the paper's one-pole compressor is not.

    python benchmarks/twins.py [CHAIN ...]

A CHAIN is profile names joined by "+", such as zam_eq2+zam_comp. Prints signal over error and level errors in dB, at
one random setting for each excerpt of the shipped clips.
"""

from __future__ import annotations

import sys

import numpy as np
import torch

from blackbox_afx import shelf
from blackbox_afx.audio import read_audio
from blackbox_afx.audio.levels import normalise_peak
from blackbox_afx.dsp import autodiff_effect
from blackbox_afx.plugins.chain import ChainSpec
from blackbox_afx.plugins.profile import load_profile

RATE, SAMPLES, EXCERPTS, SEED = 24000, 32768, 24, 0
CHAINS = ("channel_strip", "faust_peq", "faust_compressor", "zam_eq2", "zam_comp", "zam_eq2+zam_comp")


def excerpts() -> np.ndarray:
    """Cut the shipped clips into mono excerpts of -12 dBFS peak."""
    found = []
    for path in sorted(shelf.demo_audio().rglob("*.flac")):
        mono = read_audio(path, sample_rate=RATE, mono=True)[0][0]
        found += [mono[at : at + SAMPLES] for at in range(0, len(mono) - SAMPLES, 2 * SAMPLES)]
    loud = [piece for piece in found if np.abs(piece).max() > 0.01]
    return np.stack([normalise_peak(piece)[0] for piece in loud[:: max(1, len(loud) // EXCERPTS)][:EXCERPTS]])


def main() -> None:
    """Print a row a chain and way of smoothing."""
    audio = excerpts()
    print(f"{len(audio)} excerpts of {SAMPLES / RATE:.2f} s at {RATE} Hz, seed {SEED}; dB")
    print("| chain | smoothing | signal over error: median | least | level error: median | most |")
    print("|---|---|---|---|---|---|")
    for chain in sys.argv[1:] or CHAINS:
        spec = ChainSpec(profiles=tuple(load_profile(shelf.find("plugins", name)) for name in chain.split("+")))
        positions = np.random.default_rng(SEED).random((len(audio), len(spec.space)))
        with spec.open() as plugins:
            wanted = np.stack([plugins.render(a[None], p, RATE)[0] for a, p in zip(audio, positions, strict=True)])
        power = np.square(wanted, dtype=np.float64).sum(1)
        for smoothing in ("exact", "one_pole"):
            with torch.no_grad():
                twin = autodiff_effect(spec, RATE, smoothing=smoothing)
                made = twin(torch.from_numpy(audio)[:, None], torch.tensor(positions))[:, 0].double().numpy()
            ratio = 10 * np.log10(power / np.maximum(np.square(made - wanted).sum(1), 1e-20))
            level = np.abs(10 * np.log10(np.square(made).sum(1) / power))
            print(
                f"| {chain} | {smoothing} | {np.median(ratio):.1f} | {ratio.min():.1f} "
                f"| {np.median(level):.2f} | {level.max():.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
