"""Weights in a quarter of the bytes, for controllers that ship: matrices as 8-bit rows, each with a scale of its own.

Every weight is kept to within 0.4 % of the largest of its row. Convolutions are left as they are.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

SCALE = "/scale"
"""What follows a matrix's name where its rows' scales are kept."""
LEAST = 4096
"""Numbers of the smallest matrix that is packed."""
TOP = 127


def pack(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Replace each large float matrix [rows, columns] by int8 rows and float32 scales [rows]; others stay as they are.

    Parameters
    ----------
    tensors : mapping of str to Tensor

    Returns
    -------
    dict of str to Tensor
        A packed matrix keeps its name; its scales go by that name and `SCALE`.
    """
    packed: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if tensor.ndim != 2 or tensor.numel() < LEAST or not tensor.is_floating_point():
            packed[name] = tensor
            continue
        # A row of zeros has no scale to speak of; any will do.
        scale = (tensor.abs().amax(1) / TOP).clamp(min=torch.finfo(torch.float32).tiny)
        packed[name] = (tensor / scale[:, None]).round().to(torch.int8)
        packed[name + SCALE] = scale.float()
    return packed


def unpack(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Undo `pack`, but for the rounding; tensors that were not packed come back as they are.

    Raises
    ------
    ValueError
        A packed matrix without its scales.
    """
    packed = {name for name, tensor in tensors.items() if tensor.dtype == torch.int8}
    if lost := sorted(name for name in packed if name + SCALE not in tensors):
        raise ValueError(f"{lost[0]} has no scales; expected {lost[0] + SCALE}")
    scales = {name + SCALE for name in packed}
    return {
        name: tensor.float() * tensors[name + SCALE][:, None] if name in packed else tensor
        for name, tensor in tensors.items()
        if name not in scales
    }
