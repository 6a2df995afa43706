"""A proxy in the feature domain: what a recording's statistics become when a chain processes it.

Milliseconds where a waveform proxy takes a second, and all that a controller needs to hear which way a control turns
the sound. What the chain's filters do to each band is known beforehand, from responses measured on the plugins; the
network learns what is left.
"""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor, nn

from blackbox_afx.features.bands import FLOOR_DB
from blackbox_afx.features.foretell import IN_BANDS, weighed_bands
from blackbox_afx.features.statistics import BANDS, DIMENSION, LAYOUT, SILENCE_LUFS
from blackbox_afx.losses.sound import SoundDistance
from blackbox_afx.networks.residual import ResidualBlock, Standardise
from blackbox_afx.proxies.curve import Curve

RESPONSE_WIDTH = 256
NEPERS = math.log(10) / 10
"""Of power, in a decibel."""
TOLD = LAYOUT["levels"], LAYOUT["scalars"]
"""Places of what says how loud a recording is; its centroid comes with it."""
TOLD_COUNT = sum(place.stop - place.start for place in TOLD)
UNITS = 10.0, 1.0
"""Of levels that are told, dB, and of the centroid: recordings hardly differ in level, but settings move it far."""
HEARD_SHARE = 0.3
"""What the sound distance counts beside the error of each number by itself."""


def level_changes(statistics: Tensor, response_db: Tensor) -> tuple[Tensor, Tensor]:
    """Say how many dB [batch] louder a filter of that response makes statistics: their level, and their loudness.

    As `blackbox_afx.features.foretell` does, from the mean power of each band.
    """
    widths, weighed = _log_bands(statistics.device)
    before = NEPERS * statistics[:, LAYOUT["mean_power"]] + widths
    after = before + NEPERS * response_db
    level = after.logsumexp(1) - before.logsumexp(1)
    loudness = (after + weighed).logsumexp(1) - (before + weighed).logsumexp(1)
    return level / NEPERS, loudness / NEPERS


def filtered(statistics: Tensor, response_db: Tensor, *, levels: bool = True) -> Tensor:
    """Give statistics [batch, DIMENSION] as a filter of that response in dB [batch, BANDS] would leave them.

    Spreads, steps and the centroid are left as they are, and without `levels` also levels, peak, RMS and loudness.
    What an equaliser does to a level is thus no more for a network to learn; of the centroid it learns more from where
    it was than from an estimate out of mean bands. Levels of silence stay where decibels stop; bands that hold nothing
    are moved as all others, which is easier to learn from.
    """
    parts = {
        name: statistics[:, place] + response_db.repeat(1, (place.stop - place.start) // BANDS)
        if name in IN_BANDS
        else statistics[:, place]
        for name, place in LAYOUT.items()
    }
    if levels:
        level, loudness = (change[:, None] for change in level_changes(statistics, response_db))
        parts["levels"] = _raised(parts["levels"], level, FLOOR_DB)
        scalars = parts["scalars"]
        peak_and_rms, heard = _raised(scalars[:, :2], level, FLOOR_DB), _raised(scalars[:, 2:3], loudness, SILENCE_LUFS)
        parts["scalars"] = torch.cat([peak_and_rms, heard, scalars[:, 3:]], dim=1)
    return torch.cat(list(parts.values()), dim=1)


def _raised(level: Tensor, change: Tensor, floor: float) -> Tensor:
    """Move levels, but for those at the floor, and none below it."""
    return torch.where(level > floor + 0.5, (level + change).clamp(min=floor), level)


@functools.lru_cache(maxsize=4)
def _log_bands(device: torch.device) -> tuple[Tensor, Tensor]:
    _, widths, weighting = (torch.as_tensor(part, dtype=torch.float32, device=device) for part in weighed_bands())
    return widths.log(), weighting.log()


@functools.lru_cache(maxsize=4)
def _sound_distance(device: torch.device) -> SoundDistance:
    return SoundDistance().to(device)


class FeatureProxy(nn.Module):
    """Map statistics of the input and positions to statistics of the output.

    Parameters
    ----------
    controls : int
    width, blocks : int
        Of the residual network.
    harmonics : int
        Cosines of each position that go in beside it, so that bends in a control's effect are cheap to learn.
    levels : bool
        Whether what the response does to levels is foretold, and told to the network, which may then compare it with a
        threshold; not so in files of earlier versions.

    Attributes
    ----------
    response : Curve
        The chain's response in the bands of the statistics; flat until `take_response`, and never trained with the
        rest.
    """

    def __init__(
        self, controls: int, width: int = 512, blocks: int = 2, harmonics: int = 2, *, levels: bool = True
    ) -> None:
        super().__init__()
        self.levels = levels
        self.source = Standardise(DIMENSION)
        self.change = Standardise(DIMENSION)
        self.harmonics = harmonics
        self.hear = nn.Linear(DIMENSION, width)
        self.turn = nn.Sequential(nn.Linear(controls * (1 + harmonics), width), nn.GELU(), nn.Linear(width, width))
        self.blocks = nn.Sequential(*[ResidualBlock(width) for _ in range(blocks)])
        self.norm = nn.LayerNorm(width)
        self.last = nn.Linear(width, DIMENSION)
        self.response = Curve(controls, RESPONSE_WIDTH, BANDS).requires_grad_(False)
        self.tell = nn.Linear(BANDS + (TOLD_COUNT if levels else 0), width)
        nn.init.zeros_(self.tell.weight)

    def take_response(self, response: Curve) -> None:
        """Keep a copy of a trained response, frozen."""
        self.response.load_state_dict(response.state_dict())

    def forget_response(self) -> None:
        """Make the response flat again."""
        self.response.forget()

    @property
    def knows_response(self) -> bool:
        """Whether it was told a response, and has not forgotten it."""
        return bool(self.response.last.weight.any())

    def forward(self, statistics: Tensor, positions: Tensor) -> Tensor:
        """Predict statistics [batch, DIMENSION] for statistics [batch, DIMENSION] and positions [batch, controls]."""
        waves = [torch.cos(math.pi * (k + 1) * positions) for k in range(self.harmonics)]
        turned = torch.cat([2 * positions - 1, *waves], dim=1)
        response = self.response.knots_db(positions)
        passed, told = filtered(statistics, response, levels=self.levels), response / 10
        if self.levels:
            far = torch.cat([passed[:, at] - self.source.mean[at] for at in TOLD], dim=1)
            told = torch.cat([told, far[:, :-1] / UNITS[0], far[:, -1:] / UNITS[1]], dim=1)
        hidden = self.hear(self.source(statistics)) + self.turn(turned) + self.tell(told)
        change = self.last(self.norm(self.blocks(hidden))).float()
        return passed + change * self.change.deviation + self.change.mean

    def error(self, statistics: Tensor, positions: Tensor, target: Tensor, heard: float = HEARD_SHARE) -> Tensor:
        """Give the training loss: a smooth absolute error in units of each number's usual change, and what is heard.

        Level and loudness are few numbers of many; the sound distance, which controllers are judged by through the
        proxy, has them count by the share `heard`.
        """
        said = self(statistics, positions)
        gap = (said - target) / self.change.deviation
        each = nn.functional.smooth_l1_loss(gap, torch.zeros_like(gap), beta=0.1)
        with torch.autocast(target.device.type, enabled=False):
            return each + heard * _sound_distance(target.device)(said, target).mean()
