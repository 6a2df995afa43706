"""A first-order recursion whose coefficient changes from sample to sample, without a step in Python a sample."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def linear_scan(decay: Tensor, drive: Tensor) -> Tensor:
    """Run ``y[n] = decay[n] y[n-1] + drive[n]`` from ``y[-1] = 0``.

    Cuts the rows into about sqrt(samples) chunks, runs all chunks side by side from zero, then carries each chunk's
    last value into the next: some 2 sqrt(samples) steps on wide vectors in place of as many as there are samples.

    Parameters
    ----------
    decay : Tensor [rows, samples], -1 to 1
    drive : Tensor [rows, samples]

    Returns
    -------
    Tensor [rows, samples]

    Notes
    -----
    Not differentiable by itself: meant for the inside of an `autograd.Function`.
    """
    rows, samples = drive.shape
    if samples == 0:
        return drive
    length = math.isqrt(samples)
    chunks = -(-samples // length)

    def lay_out(part: Tensor) -> Tensor:
        padded = torch.nn.functional.pad(part, (0, chunks * length - samples))
        return padded.view(rows, chunks, length).permute(2, 0, 1).contiguous()

    decays, values = lay_out(decay), lay_out(drive)
    for step in range(1, length):
        values[step].addcmul_(decays[step], values[step - 1])
    through = decays.cumprod(0)
    carried = torch.zeros_like(values[-1])
    for chunk in range(1, chunks):
        carried[:, chunk] = torch.addcmul(values[-1, :, chunk - 1], through[-1, :, chunk - 1], carried[:, chunk - 1])
    values.addcmul_(through, carried[None])
    return values.permute(1, 2, 0).reshape(rows, -1)[:, :samples]
