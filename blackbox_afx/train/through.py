"""Render through an effect module, where its audio is the result and not the plugin's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch


@torch.no_grad()
def render_through(effect: torch.nn.Module, inputs: Sequence[np.ndarray], positions: np.ndarray) -> list[np.ndarray]:
    """Render one example a row, one at a time: lengths differ, and the memory stays that of one.

    Parameters
    ----------
    effect : nn.Module
        Put into evaluation mode meanwhile.
    inputs : sequence of float32 [channels, samples]
    positions : float64 [examples, controls]

    Returns
    -------
    list of float32 [channels, samples]
    """
    was_training = effect.training
    effect.eval()
    weight = next(effect.parameters(), None)
    device = torch.device("cpu") if weight is None else weight.device
    made = []
    for audio, row in zip(inputs, positions, strict=True):
        sound = torch.as_tensor(np.asarray(audio, np.float32), device=device)[None]
        at = torch.as_tensor(row, dtype=torch.float32, device=device)[None]
        made.append(effect(sound, at)[0].cpu().numpy())
    effect.train(was_training)
    return made
