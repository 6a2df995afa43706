"""Waveform proxies for a run whose method needs them and whose plugins have none on the shelves.

Each is an `afx proxy train` in miniature, in the run's own folder: it resumes with the run and goes when the run is
done. A proxy whose gradient does not agree with the plugin's is no guide, and is said not to be.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from blackbox_afx.errors import UsageError
from blackbox_afx.plugins.profile import Profile
from blackbox_afx.proxies.proxy_file import find_proxy, load_proxy
from blackbox_afx.train.proxy_recipe import ProxyRecipe
from blackbox_afx.train.proxy_train import train_proxy

if TYPE_CHECKING:
    from blackbox_afx.train.learn import Run

LEAST_S = 40.0
"""A proxy that has less time than this to learn in is not begun."""
LEAST_COSINE = 0.5
"""Agreement of a proxy's gradient with the plugin's below which it is no guide."""


def proxy_names(run: Run) -> tuple[str, ...] | None:
    """Name a proxy for each plugin of a run's chain, training what is missing.

    Parameters
    ----------
    run : Run

    Returns
    -------
    tuple of str or None
        Names or folders, in order. None where there was no time to train what is missing, or what was trained does
        not agree with its plugin.
    """
    recipe, spec = run.recipe, run.spec
    found = [find_proxy(profile, recipe.sample_rate) for profile in spec.profiles]
    missing = [k for k, name in enumerate(found) if name is None]
    if not missing:
        return tuple(name for name in found if name is not None)
    seconds = recipe.shares.imitate * run.clock.budget_s / len(missing)
    if seconds < LEAST_S:
        run.warn(
            f"{spec.profiles[missing[0]].label} has no proxy, and {seconds:.0f} s are too short to train one; "
            "give more --minutes, or train one with `afx proxy train`"
        )
        return None
    for k in missing:
        folder = run.folder.path / "proxies" / str(k)
        try:
            _train(run, spec.profiles[k], folder, seconds)
        except UsageError as error:
            run.warn(f"no proxy of {spec.profiles[k].label} could be trained in {seconds:.0f} s: {error}")
            return None
        cosine = load_proxy(folder)[1].scores["cosine"]
        if not cosine >= LEAST_COSINE:
            run.warn(
                f"a proxy of {spec.profiles[k].label} was trained, but its gradient hardly agrees with the plugin's "
                f"(cosine {cosine:.2f}); the audio stage is left out"
            )
            return None
        found[k] = str(folder)
    return tuple(name for name in found if name is not None)


def _train(run: Run, profile: Profile, folder: Path, seconds: float) -> None:
    """Train one proxy, if no earlier sitting did."""
    if (folder / "weights.safetensors").exists():
        return
    parts = "both" if profile.dynamics else "filter"
    recipe = ProxyRecipe(sample_rate=run.recipe.sample_rate, options={"parts": parts}, max_minutes=10.0, held_out=24)
    train_proxy(
        profile,
        run.audio,
        out=folder,
        where=run.where,
        minutes=seconds / 60,
        recipe=recipe,
        seed=run.seed,
        jobs=run.farm.n_jobs,
        device=str(run.device),
        resume=(folder / "weights.safetensors.run").exists(),
        report=lambda stage, share, words: run.tick("imitate", share, f"{profile.label}: {words}"),
    )
