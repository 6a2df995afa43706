"""Learn the trunk that residual controllers start from: what a style is, before any plugin is known.

    python scripts/pretrain_trunk.py --audio recordings/ --work trunk/ --out blackbox_afx/networks/trunk.safetensors

Every clip is coloured twice and more by random equalisers, compressors and other built-in effects. From an input in
one style and another half of the clip in another style, the network says which statistics the input has in that other
style. A controller keeps all but the last layer. Only the training split is heard; the held-out split says how good
it is. Pairs are kept in --work and made once.
"""

from __future__ import annotations

import argparse
import functools
import json
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import numpy as np
import pedalboard
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from blackbox_afx.data import find_audio, load_clips
from blackbox_afx.data.corruptions import corrupt_input, corrupt_target
from blackbox_afx.data.segments import ClipSampler, ClipSet
from blackbox_afx.features.mixture import coloured_dimension, coloured_statistics
from blackbox_afx.features.statistics import DIMENSION
from blackbox_afx.losses.sound import SoundDistance
from blackbox_afx.networks.controller import ResidualController
from blackbox_afx.networks.packing import pack
from blackbox_afx.networks.residual import fast_matrices
from blackbox_afx.networks.search import Expectation
from blackbox_afx.networks.trunk import BLOCKS, FILE, RATE, WIDTH, trunk_of
from blackbox_afx.train.pairs import shortest_half
from blackbox_afx.train.versions import versions
from blackbox_afx.train.warm_start import blend

SEGMENT = 65536
STYLES, HELD_OUT_STYLES, SHARD = 2, 3, 100
"""Styles of either kind that a clip is heard in, for learning and held out, and clips in a file."""
OTHER_EFFECTS = 0.15
"""Share of styles that a further effect is part of."""
LEAST_STEPS = 40
BATCH, LEARNING_RATE, WEIGHT_DECAY, AVERAGE = 512, 1e-3, 0.2, 0.995


def main() -> None:
    """Make pairs, learn, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--audio", type=Path, required=True, help="folder of recordings, speech and music")
    parser.add_argument("--work", type=Path, required=True, help="folder for pairs")
    parser.add_argument("--clips", type=int, default=63000, help="two thirds speech, one third music")
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--spliced", type=float, default=0.8, help="share of clips that are put together anew")
    parser.add_argument("--mix", type=float, default=0.0, help="blend examples two by two, as a recipe's `mix`")
    parser.add_argument("--jobs", type=int, default=None, help="processes; by default one a core")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=FILE)
    options = parser.parse_args()
    if options.steps < LEAST_STEPS:
        parser.error(f"--steps {options.steps}: expected {LEAST_STEPS} or more, the first twentieth of which warm up")
    options.work.mkdir(parents=True, exist_ok=True)
    held = {kind: pairs(options, kind, "val", 600) for kind in ("speech", "music")}
    shares = {"speech": 2 / 3, "music": 1 / 3}
    learned = [pairs(options, kind, "train", round(options.clips * share)) for kind, share in shares.items()]
    joined = torch.cat([part[0] for part in learned]), torch.cat([part[1] for part in learned])
    network, scores = learn(joined, held, options.steps, options.seed, options.mix)
    tensors = trunk_of(network.controller)
    beside = options.out.with_suffix(".part")
    books = {kind: clips_of(options.audio, kind, "train", options.seed) for kind in shares}
    about = {
        "command": "python scripts/pretrain_trunk.py --audio recordings/ --work trunk/"
        f" --clips {options.clips} --steps {options.steps} --spliced {options.spliced:g} --mix {options.mix:g}",
        "seed": options.seed,
        "clips": options.clips,
        "styles": STYLES,
        "steps": options.steps,
        "spliced": options.spliced,
        "mix": options.mix,
        "held_out": {kind: round(score, 3) for kind, score in scores.items()},
        "minutes": {kind: round(book.minutes, 1) for kind, book in books.items()},
        "sources": sorted({clip.source for book in books.values() for clip in book.clips}),
        "versions": versions(),
    }
    save_file(pack(tensors), beside, {"about": json.dumps(about)})
    beside.chmod(0o644)
    beside.replace(options.out)
    print(f"wrote {options.out}")


def pairs(options: argparse.Namespace, kind: str, split: str, clips: int) -> tuple[Tensor, Tensor]:
    """Give inputs and results float16 [clips, styles, 2, features], made once."""
    spliced = options.spliced if split == "train" else 0.0
    styles = STYLES if split == "train" else HELD_OUT_STYLES
    name = f"{kind}_{split}_seed{options.seed}_styles{styles}" + (f"_spliced{spliced:g}" if spliced else "")
    shards = [options.work / f"{name}_{k}.npy" for k in range(-(-clips // SHARD))]
    began, missing = time.monotonic(), [k for k, place in enumerate(shards) if not place.exists()]
    with ProcessPoolExecutor(options.jobs) as pool:
        work = [
            pool.submit(make, options.audio, kind, split, options.seed, k, shards[k], spliced, styles) for k in missing
        ]
        for done, finished in enumerate(as_completed(work), 1):
            finished.result()
            print(f"{kind} {split}: {done} of {len(missing)} shards, {time.monotonic() - began:.0f} s", flush=True)
    made = np.concatenate([np.load(place) for place in shards])
    inputs, results = torch.from_numpy(made).unbind(1)
    return inputs, results


@functools.cache
def clips_of(audio: Path, kind: str, split: str, seed: int) -> ClipSet:
    """Load a working set, once a process."""
    found = find_audio(audio, where=f"type={kind}", purpose="learn", seed=seed)
    return load_clips(found, split, sample_rate=RATE, max_minutes=120.0, seed=seed)


def make(audio: Path, kind: str, split: str, seed: int, shard: int, place: Path, spliced: float, styles: int) -> None:
    """Write one shard of pairs, float16 [SHARD, 2, styles, 2, features]."""
    rng = np.random.default_rng([seed, shard, len(kind), len(split)])
    cents = 200.0 if split == "train" else 0.0
    book = clips_of(audio, kind, split, seed)
    sampler = ClipSampler(
        rng, book, SEGMENT, shortest_half(SEGMENT), balance_speakers=True, max_cents=cents, spliced=spliced
    )
    made = np.zeros((SHARD, 2, styles, 2, coloured_dimension()), np.float16)
    for clip in made:
        first, second = sampler.draw()
        whole, half = np.concatenate([first, second]), len(first)
        for side, colour in enumerate((corrupt_input, corrupt_target)):
            for style in clip[side]:
                styled = colour(rng, whole, RATE, quick=True)
                if rng.random() < OTHER_EFFECTS:
                    styled = other_effect(rng, styled)
                style[:] = [np.clip(coloured_statistics(part, RATE), -6e4, 6e4) for part in np.split(styled, [half])]
    beside = place.with_suffix(".part.npy")
    np.save(beside, made)
    beside.replace(place)


def other_effect(rng: np.random.Generator, audio: np.ndarray) -> np.ndarray:
    """Send audio through a built-in effect that the corruptions lack, at a random setting."""
    effects = (
        lambda: pedalboard.Reverb(room_size=rng.random(), wet_level=rng.uniform(0.05, 0.5), dry_level=0.4),
        lambda: pedalboard.Distortion(rng.uniform(0.0, 30.0)),
        lambda: pedalboard.LowpassFilter(rng.uniform(2000.0, 11000.0)),
        lambda: pedalboard.HighpassFilter(rng.uniform(60.0, 800.0)),
        lambda: pedalboard.Delay(rng.uniform(0.05, 0.4), rng.uniform(0.0, 0.5), rng.uniform(0.1, 0.5)),
        lambda: pedalboard.Chorus(rate_hz=rng.uniform(0.2, 3.0), mix=rng.uniform(0.2, 0.8)),
        lambda: pedalboard.Limiter(rng.uniform(-30.0, -6.0)),
    )
    effect = effects[int(rng.integers(len(effects)))]()
    made = effect.process(audio[None], RATE)[0]
    return made if np.isfinite(made).all() and np.abs(made).max() > 1e-5 else audio


class Learner(nn.Module):
    """A controller whose trunk is learned, and what is read from it instead of positions."""

    def __init__(self) -> None:
        super().__init__()
        self.controller = ResidualController(coloured_dimension(), 1, WIDTH, BLOCKS)
        self.expectation = Expectation(coloured_dimension(), WIDTH, BLOCKS, 0.1)
        # The trunk's hidden layers are the controller's.
        self.expectation.first, self.expectation.blocks = self.controller.first, self.controller.blocks
        self.expectation.norm = self.controller.norm

    def forward(self, source: Tensor, reference: Tensor) -> Tensor:
        """Give expected statistics [batch, DIMENSION]."""
        return self.expectation(source[:, :DIMENSION], self.controller.heard(source, reference))


def draw(made: tuple[Tensor, Tensor], rng: np.random.Generator, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Give inputs, references [count, features] and targets [count, DIMENSION]."""
    inputs, results = made
    clip = torch.from_numpy(rng.integers(len(inputs), size=count))
    first, second = torch.from_numpy(rng.integers(inputs.shape[1], size=(2, count)))
    half = torch.from_numpy(rng.integers(2, size=count))
    target = results[clip, second, half][:, :DIMENSION]
    return inputs[clip, first, half].float(), results[clip, second, 1 - half].float(), target.float()


def learn(
    made: tuple[Tensor, Tensor], held: dict[str, tuple[Tensor, Tensor]], steps: int, seed: int, mix: float
) -> tuple[Learner, dict[str, float]]:
    """Minimise the sound distance; the moving average of the weights is kept. `mix` as `mix` of a recipe."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    network, distance = Learner(), SoundDistance()
    source, reference, target = draw(made, np.random.default_rng(seed + 1), 20000)
    network.controller.fit(source, reference)
    network.expectation.change.fit(torch.zeros(DIMENSION), (target - source[:, :DIMENSION]).std(0))
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.98), weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps, pct_start=0.05)
    kept = torch.optim.swa_utils.AveragedModel(
        network, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(AVERAGE)
    )
    averaged: Learner = kept.module  # pyrefly: ignore[bad-assignment]
    began, told, scores = time.monotonic(), 0.0, {}
    for step in range(steps):
        source, reference, target = draw(made, rng, BATCH)
        if mix:
            blend((source, reference, target), 0, mix)
        with fast_matrices():
            expected = network(source, reference)
        loss = distance(expected, target).mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        kept.update_parameters(network)
        told += (float(loss.detach()) - told) * max(0.01, 1 / (step + 1))
        if (step + 1) % 500 == 0 or step + 1 == steps:
            scores = {kind: judge(averaged, pairs_, distance) for kind, pairs_ in held.items()}
            held_out = ", ".join(f"{kind} {score:.3f}" for kind, score in scores.items())
            passed = time.monotonic() - began
            print(f"step {step + 1}: learned {told:.3f}, held out {held_out}, {passed:.0f} s", flush=True)
    return averaged, scores


@torch.no_grad()
def judge(network: nn.Module, made: tuple[Tensor, Tensor], distance: SoundDistance) -> float:
    """Give the mean distance on held-out pairs."""
    network.eval()
    source, reference, target = draw(made, np.random.default_rng(0), 2400)
    value = float(distance(network(source, reference), target).mean())
    network.train()
    return value


if __name__ == "__main__":
    main()
