"""How much of a chain's derivative the tangent basis holds, were its gains known.

Claim: with the best gains of each recording on the four basis functions of `blackbox_afx.features.tiles`, the
derivative of the training loss has a mean cosine above 0.99 with central differences of all controls.

    python benchmarks/tangent_basis.py --audio AUDIO --chain "zam_eq2 zam_comp" --recordings 8

The gains are fitted to rendered differences, so this bounds what a proxy on this basis can reach; it is not a proxy.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

from blackbox_afx.benchmark.gradients import chain_steps
from blackbox_afx.data import find_audio, load_clips
from blackbox_afx.features.tiles import BASIS, contract, gram, project, tiles
from blackbox_afx.plugins.chain import ChainSpec
from blackbox_afx.plugins.farm import Farm
from blackbox_afx.plugins.resolve import resolve_plugin
from blackbox_afx.train.clip_book import write_clip_book
from blackbox_afx.train.effect import FarmEffect
from blackbox_afx.train.guide import Case, cosines

RATE, SEGMENT = 24000, 65536


def main() -> None:
    """Measure one chain and print two rows: the output alone as a basis, and all four functions."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--audio", type=Path, required=True)
    parser.add_argument("--chain", default="zam_eq2 zam_comp")
    parser.add_argument("--recordings", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    spec = ChainSpec(profiles=tuple(resolve_plugin(token) for token in given.chain.split()))
    steps = chain_steps(spec)
    found: dict[int, list[float]] = {1: [], BASIS: []}
    with tempfile.TemporaryDirectory() as folder, Farm(1 if spec.trusted else None) as farm:
        collection = find_audio(given.audio, where="type=speech", purpose="learn", seed=given.seed)
        book = str(Path(folder) / "val")
        write_clip_book(book, load_clips(collection, "val", sample_rate=RATE, max_minutes=10.0, seed=given.seed))
        effect = FarmEffect(farm, spec, RATE)
        case = Case.draw(effect, book, given.recordings, SEGMENT, np.random.default_rng(given.seed))
        for k in range(len(case.inputs)):
            measured = tiles(case.inputs[k], case.outputs[k], RATE)
            product, matrix = contract(measured, case.cotangents[k], RATE), gram(measured)
            truth, estimates = np.zeros(len(steps)), {size: np.zeros(len(steps)) for size in found}
            for control in np.flatnonzero(np.isfinite(steps)):
                centre = np.clip(case.positions[k], steps[control], 1 - steps[control])
                ends = np.stack([case.positions[k]] * 2)
                ends[:, control] = centre[control] + np.array([steps[control], -steps[control]])
                pair, good = effect.render([case.inputs[k]] * 2, ends)
                if not good.all():
                    continue
                change = (pair[0].astype(float) - pair[1]) / (ends[0, control] - ends[1, control])
                truth[control] = float((case.cotangents[k] * change).sum())
                projected, _ = project(measured, change, RATE)
                for size in found:
                    block = matrix[:, :size, :size].astype(complex)
                    ridge = 1e-3 * np.trace(block, axis1=1, axis2=2).real[:, None, None] / size + 1e-12
                    gains = np.linalg.solve(block + ridge * np.eye(size), projected[:, :size, None])[..., 0]
                    estimates[size][control] = float(np.real(product[:, :size] * gains).sum())
            for size, estimate in estimates.items():
                found[size].append(float(cosines(estimate[None], truth[None])[0]))
    for size, name in ((1, "output alone"), (BASIS, "all four")):
        print(f"{spec.label}, {name}: mean cosine {np.mean(found[size]):.4f}, least {min(found[size]):.4f}")


if __name__ == "__main__":
    main()
