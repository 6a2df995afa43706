"""A controller that first says how the result should sound, then looks for the settings that sound so.

Many settings sound alike, and a network that names settings at one go settles between them. How the result should
sound, on the other hand, can be learned without ambiguity, and whatever the plugin. So there are two networks: one
guesses the settings, the other says which statistics the result should have. From the guess, a few steps of gradient
descent through the chain's feature proxy bring the proxied statistics to those. No plugin is asked.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from blackbox_afx.errors import RecipeError
from blackbox_afx.features.hearing import FEATURES
from blackbox_afx.features.statistics import DIMENSION
from blackbox_afx.losses.sound import SoundDistance
from blackbox_afx.networks.controller import ResidualController, mean_logits
from blackbox_afx.networks.residual import ResidualBlock, Standardise
from blackbox_afx.proxies.feature_proxy import FeatureProxy

BETAS = 0.9, 0.98
SEARCH_OPTIONS: dict[str, Any] = {"steps": 20, "rate": 0.1, "pull": 30.0, "shares": True, "levels": True}
"""What `SearchController` takes beside the options of a residual one, and what they are by default."""


class Expectation(nn.Module):
    """Say how a recording would sound in the style of a reference: its statistics, from what is heard of both.

    Parameters
    ----------
    dimension : int
        Numbers in one embedding.
    width, blocks, dropout
        Of the residual network.
    """

    def __init__(self, dimension: int, width: int, blocks: int, dropout: float) -> None:
        super().__init__()
        self.first = nn.Linear(2 * dimension, width)
        self.blocks = nn.Sequential(*[ResidualBlock(width, dropout) for _ in range(blocks)])
        self.norm = nn.LayerNorm(width)
        self.last = nn.Linear(width, DIMENSION)
        self.change = Standardise(DIMENSION)

    def forward(self, source: Tensor, heard: Tensor) -> Tensor:
        """Give statistics [batch, DIMENSION] for the input's, and for what a controller standardised of both."""
        change = self.last(self.norm(self.blocks(self.first(heard)))).float()
        return source + change * self.change.deviation + self.change.mean


class SearchController(ResidualController):
    """A residual controller, an expectation of the outcome, and a search through a feature proxy.

    Parameters
    ----------
    dimension : int
        Numbers in one embedding, which must begin with the statistics.
    controls : int
    width, blocks, dropout
        Of the residual network.
    steps : int >= 0
        Of the search; 0 leaves the guess as it is.
    rate : float > 0
        First step size of the search, on logits of positions.
    pull : float >= 0
        What a squared distance from the guess counts, so that controls that hardly sound stay put.
    shares : bool
        As `SoundDistance` has it; files that don't say are of a version that knew no such part.
    levels : bool
        As `FeatureProxy` has it; likewise.

    Attributes
    ----------
    proxy : FeatureProxy
        Of the chain; trained before the controller and frozen.
    movable : Tensor [controls]
        1 for controls that the search may turn, 0 for toggles and choices.
    """

    def __init__(
        self,
        dimension: int,
        controls: int,
        width: int = 512,
        blocks: int = 2,
        dropout: float = 0.1,
        *,
        steps: int = SEARCH_OPTIONS["steps"],
        rate: float = SEARCH_OPTIONS["rate"],
        pull: float = SEARCH_OPTIONS["pull"],
        shares: bool = False,
        levels: bool = False,
    ) -> None:
        if dimension not in (known := {name: size for name, (size, _) in FEATURES.items()}).values():
            raise RecipeError(
                f"the controller 'search' was given embeddings of {dimension} numbers; expected those of the encoders "
                f"{' or '.join(map(repr, known))}; choose the controller 'residual' or 'paper' for other encoders"
            )
        super().__init__(dimension, controls, width, blocks, dropout)
        self.steps, self.rate, self.pull = steps, rate, pull
        self.expectation = Expectation(dimension, width, blocks, dropout)
        self.proxy = FeatureProxy(controls, levels=levels).requires_grad_(False)
        self.distance = SoundDistance(shares=shares)
        self.movable: Tensor
        self.register_buffer("movable", torch.ones(controls))

    def both(self, source: Tensor, reference: Tensor) -> tuple[Tensor, Tensor]:
        """Guess positions [batch, controls] in (0, 1), and the statistics [batch, DIMENSION] of the result."""
        heard = self.heard(source, reference)
        return self.guess(self.hidden(heard)), self.expectation(source[:, :DIMENSION], heard)

    def take_proxy(self, proxy: FeatureProxy, continuous: np.ndarray) -> None:
        """Keep a copy of a trained proxy, and which controls are continuous (bool [controls])."""
        if proxy.levels != self.proxy.levels:
            raise RecipeError(
                f"the proxy was made with levels = {proxy.levels}, the controller with levels = {self.proxy.levels}; "
                "make both alike"
            )
        self.proxy.load_state_dict(proxy.state_dict())
        self.proxy.requires_grad_(False).eval()
        # How far statistics usually move is known from the proxy's training.
        self.expectation.change.deviation.copy_(proxy.change.deviation)
        self.movable.copy_(torch.as_tensor(np.asarray(continuous), dtype=self.movable.dtype))

    def each(self, source: Tensor, reference: Tensor) -> Tensor:
        """Give positions [batch, controls] whose proxied outcome is near the one that the network expects.

        Rows do not depend on each other. Deterministic on one machine and batch size.
        """
        with torch.no_grad():
            guess, wanted = self.both(source, reference)
        return self.approach(source, guess, wanted)

    def together(self, source: Tensor, reference: Tensor) -> Tensor:
        """Search once for all rows, from the mean guess for the mean outcome: logits of positions [controls]."""
        with torch.no_grad():
            guesses, wanted = self.both(source, reference)
        guess = torch.sigmoid(mean_logits(guesses))[None]
        found = self.approach(source.mean(0, keepdim=True), guess, wanted.mean(0, keepdim=True))
        return mean_logits(found.double())

    def approach(self, source: Tensor, guess: Tensor, wanted: Tensor) -> Tensor:
        """Search from a guess [batch, controls] for positions whose proxied outcome is near what is wanted."""
        source = source[:, :DIMENSION]
        if self.steps == 0 or not self.movable.any():
            return guess
        guess = guess.clamp(1e-3, 1 - 1e-3)
        # In full precision, so that settings do not depend on which numbers a processor multiplies fast.
        with torch.enable_grad():
            logits = torch.logit(guess).requires_grad_(True)
            optimizer = torch.optim.Adam([logits], lr=self.rate, betas=BETAS)
            # Down to a twentieth, so that the last steps settle.
            schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.steps, eta_min=0.05 * self.rate)
            for _ in range(self.steps):
                positions = torch.sigmoid(logits)
                far = ((positions - guess) ** 2).sum(1)
                loss = self.distance(self.proxy(source, positions), wanted) + self.pull * far
                (logits.grad,) = torch.autograd.grad(loss.sum(), logits)
                logits.grad *= self.movable
                optimizer.step()
                schedule.step()
        return torch.where(self.movable.bool(), torch.sigmoid(logits.detach()), guess)
