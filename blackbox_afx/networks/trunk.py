"""The trunk that comes with this package: how a residual controller hears styles before it knows any plugin.

`scripts/pretrain_trunk.py` learned it on speech and music that went through random equalisers, compressors and other
built-in effects: what it was asked was how an input sounds in a reference's style. A new controller starts there and
learns only which settings make its own plugin sound so.
"""

from __future__ import annotations

import functools
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor

from blackbox_afx.networks.controller import Controller, ResidualController
from blackbox_afx.networks.packing import unpack

FILE = Path(__file__).with_name("trunk.safetensors")
WIDTH, BLOCKS, RATE = 512, 2, 24000
LEFT_OUT = "last."
"""What tells settings, and is each controller's own."""


def trunk_of(controller: ResidualController) -> dict[str, Tensor]:
    """Give the weights and the standardisation of a controller's trunk."""
    return {name: tensor for name, tensor in controller.state_dict().items() if not name.startswith(LEFT_OUT)}


@functools.lru_cache(maxsize=1)
def shipped_trunk() -> dict[str, Tensor]:
    """Load the trunk that comes with this package."""
    return unpack(load_file(FILE))


def take_trunk(controller: Controller) -> bool:
    """Let a controller start from the shipped trunk where it has the shape for it; say whether it does.

    Its standardisation is part of the trunk and must not be measured anew. Further blocks of a deeper controller stay
    as they are, which is the identity: to turn how a result should sound into settings is theirs to learn.
    """
    if type(controller) is not ResidualController:
        return False
    trunk, own = shipped_trunk(), trunk_of(controller)
    if any(name not in own or own[name].shape != tensor.shape for name, tensor in trunk.items()):
        return False
    controller.load_state_dict(trunk, strict=False)
    controller.standardised = True
    return True
