"""The settings that a controller chooses: where a proxy has to be right, which uniform settings hardly visit."""

from __future__ import annotations

import numpy as np
import torch

from blackbox_afx.errors import FarmError
from blackbox_afx.features.hearing import Hears
from blackbox_afx.networks.controller_file import ControllerCard
from blackbox_afx.plugins.farm import Farm
from blackbox_afx.plugins.jobs import CallJob
from blackbox_afx.train.loop import step_seed
from blackbox_afx.train.pairs import make_audio_pair

SETTINGS = 256


def visited_positions(
    network: torch.nn.Module, card: ControllerCard, farm: Farm, book: str, *, seed: int, count: int = SETTINGS
) -> np.ndarray:
    """Let a controller set its chain for pairs of recordings.

    Parameters
    ----------
    network : nn.Module
        A style network in evaluation mode.
    card : ControllerCard
    farm : Farm
        Makes the pairs.
    book : str
        Clip book at the controller's rate.
    seed, count : int

    Returns
    -------
    float64 [settings, controls]

    Raises
    ------
    FarmError
        No pair could be rendered.

    References
    ----------
    Fischer, Ritschel, "ZeroGrads: learning local surrogates for non-differentiable graphics", SIGGRAPH 2024.
    """
    spec = card.spec
    hears: Hears = getattr(network, "encoder").hears  # noqa: B009
    jobs = [
        CallJob(
            function=make_audio_pair,
            args=(spec, book, step_seed(seed, "visited", k), card.segment, hears),
            spec=spec,
            cost=2 * spec.cost_s(card.segment / card.sample_rate) + 0.02,
        )
        for k in range(count)
    ]
    made = [result.value for result in farm.run(jobs) if result.failure is None]
    if not made:
        raise FarmError(f"no pair could be rendered by {spec.label}; probe the plugin again")
    source, reference = (np.stack([pair[name] for pair in made]) for name in ("source", "reference"))
    return np.concatenate(
        [
            network.positions(source[k : k + 32], reference[k : k + 32])  # pyrefly: ignore[not-callable]
            for k in range(0, len(made), 32)
        ]
    )
