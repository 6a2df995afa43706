"""Controller files that nobody trained: real networks with real weights, for tests of what is done with them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from blackbox_afx.networks.controller_file import ControllerCard, save_controller
from blackbox_afx.networks.style import StyleNetwork, make_style_network
from blackbox_afx.plugins.profile import Profile

RATE = 24000
SEGMENT = 65536


def untrained(
    path: Path,
    profiles: Sequence[Profile],
    *,
    seed: int = 0,
    positions: np.ndarray | None = None,
    rate: int = RATE,
    encoder: str = "statistics",
    effect: dict[str, Any] | None = None,
) -> Path:
    """Write a controller; with `positions` it gives those whatever it hears, with `effect` through that module."""
    torch.manual_seed(seed)
    settings = {"encoder": encoder, "controller": "residual" if encoder == "statistics" else "paper"}
    controls = sum(len(profile.active) for profile in profiles)
    network = make_style_network(controls=controls, **settings)
    _set_output(network, positions)
    card = ControllerCard(
        profiles=tuple(profiles),
        network=settings,
        sample_rate=rate,
        segment=SEGMENT,
        input_peak_dbfs=-12.0,
        method="none",
        seed=seed,
        minutes=0.0,
        effect=effect or {},
    )
    save_controller(path, network, card)
    return path


@torch.no_grad()
def _set_output(network: StyleNetwork, positions: np.ndarray | None) -> None:
    controller = network.controller
    last = controller.last if hasattr(controller, "last") else controller.layers[-1]
    if positions is not None:
        last.weight.zero_()
        last.bias.copy_(torch.logit(torch.as_tensor(positions, dtype=torch.float32), eps=1e-6))
