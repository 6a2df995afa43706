"""Compare a training step on the audio loss with the sum of what it can't do without: its renders and the network.

Claim: a step takes at most 1.15 times the time of its plugin renders, spread over the workers, plus the network's own
forward and backward pass and the loss.

    python benchmarks/training_step.py --audio recordings/            # ZamEQ2 > ZamComp, or a built-in channel strip
    python benchmarks/training_step.py --audio recordings/ --plugins channel_strip --json step.json

Renders are timed by the workers themselves (seconds at work, over the number of workers); what workers compute beside
them for the guide, timed on the same batch, is taken off. The network and the loss are timed alone, on the same batch,
with the plugin left out. All come from the same run, step by step.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import msgspec
import torch

from blackbox_afx.errors import PluginError
from blackbox_afx.plugins.farm import Farm
from blackbox_afx.plugins.resolve import resolve_plugin
from blackbox_afx.proxies.feature_guide import FeatureGuide
from blackbox_afx.proxies.feature_proxy import FeatureProxy
from blackbox_afx.train.feature_guide import trial_guide
from blackbox_afx.train.learn import Run
from blackbox_afx.train.linear_parts import LinearParts
from blackbox_afx.train.recipe import Recipe
from blackbox_afx.train.stages import audio_loss


def profiles(names: list[str]):
    """Resolve the chain, or fall back to built-in effects where the plugins are not installed."""
    try:
        return [resolve_plugin(name) for name in names]
    except PluginError as error:
        print(f"{error}; measuring channel_strip instead")
        return [resolve_plugin("channel_strip")]


class Recording(FeatureGuide):
    """Remembers what it was asked last."""

    asked: tuple = ()

    def __call__(self, *asked):
        """Give what the guide gives."""
        self.asked = asked
        return super().__call__(*asked)

    def reading_seconds(self, farm: Farm) -> float:
        """Time what workers read off the sound beside their renders of impulses, in seconds of one worker's work."""
        parts, spent = self.parts, []
        if not isinstance(parts, LinearParts) or not self.asked:
            return 0.0
        for ask in (lambda: parts.read(*self.asked), lambda: parts.measure(self.asked[1])):
            began = farm.busy_s
            ask()
            spent.append(farm.busy_s - began)
        return max(0.0, spent[0] - spent[1])


def network_seconds(run: Run, loss, batch: dict[str, torch.Tensor]) -> float:
    """Time forward, loss and backward with the input standing in for the render."""
    began = time.perf_counter()
    positions = run.network(batch["source"], batch["reference"])
    audio = batch["input"][:, None].clone().requires_grad_(True)
    errors = loss.loss.per_example(audio, batch["target"][:, None]).mean()
    (errors + positions.mean()).backward()
    run.network.zero_grad(set_to_none=True)
    return time.perf_counter() - began


def main() -> None:
    """Measure and print medians."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--audio", type=Path, required=True)
    parser.add_argument("--where", default=None)
    parser.add_argument("--plugins", nargs="+", default=["zam_eq2", "zam_comp"])
    parser.add_argument("--method", default="features")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    recipe = Recipe(method=options.method, held_out=4, max_minutes=5)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        run = Run(
            profiles(options.plugins),
            options.audio,
            out=Path(folder) / "controller.safetensors",
            where=options.where,
            minutes=60,
            recipe=recipe,
            warn=print,
        )
        with run.farm:
            book, _, _ = run.material.books(options.audio, options.where)
            # Untrained, the proxy takes as long.
            proxy = FeatureProxy(len(run.spec.space))
            guide, recording = None, Recording(proxy, run.recipe.sample_rate)
            if run.method.guide == "features":
                guide = trial_guide(run.effect, proxy)
                recording.parts = guide.direction.parts
                guide = msgspec.structs.replace(guide, direction=recording)
            loss = audio_loss(run, book, guide)
            for step in range(options.steps + 2):
                at_work = run.farm.busy_s
                began = time.perf_counter()
                value = loss(step)
                if value is not None:
                    value.backward()
                whole = time.perf_counter() - began
                busy = run.farm.busy_s - at_work
                renders = (busy - recording.reading_seconds(run.farm)) / run.farm.n_jobs
                run.network.zero_grad(set_to_none=True)
                network = network_seconds(run, loss, loss.pairs(step))
                # The first steps load plugins and warm caches.
                if step >= 2:
                    rows.append({"step_s": whole, "renders_s": renders, "network_s": network})
    median = {name: statistics.median(row[name] for row in rows) for name in rows[0]}
    ratio = statistics.median(row["step_s"] / (row["renders_s"] + row["network_s"]) for row in rows)
    result = {"method": options.method, "batch": recipe.audio_batch, **median, "ratio": ratio}
    step_s, renders_s, network_s = (median[name] for name in ("step_s", "renders_s", "network_s"))
    print(f"{options.method}, batch {recipe.audio_batch}, median of {len(rows)} steps:")
    print(f"step {step_s:.3f} s, renders {renders_s:.3f} s, network and loss {network_s:.3f} s, ratio {ratio:.2f}")
    if options.json:
        options.json.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
