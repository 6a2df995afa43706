"""The style network: an encoder heard twice, and the controller behind it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from blackbox_afx.errors import RecipeError, nearest
from blackbox_afx.networks.controller import RESIDUAL_OPTIONS, Controller, PaperController, ResidualController
from blackbox_afx.networks.encoders import make_encoder
from blackbox_afx.networks.search import SEARCH_OPTIONS, SearchController

CONTROLLERS: dict[str, Callable[..., Controller]] = {
    "paper": PaperController,
    "residual": ResidualController,
    "search": SearchController,
}
OPTIONS: dict[str, dict[str, Any]] = {"residual": RESIDUAL_OPTIONS, "search": SEARCH_OPTIONS}
"""What controllers are made with where a recipe says nothing."""


class StyleNetwork(nn.Module):
    """Hear an input and a reference and give positions.

    Parameters
    ----------
    encoder : nn.Module
        One of `ENCODERS`; the same weights hear both.
    controller : Controller
        One of `CONTROLLERS`.
    """

    def __init__(self, encoder: Any, controller: Controller) -> None:
        super().__init__()
        self.encoder: Any = encoder
        self.controller = controller

    def prepare(self, audio: np.ndarray, sample_rate: int) -> np.ndarray:
        """Measure what the encoder hears of mono audio [samples]; no gradient goes through here."""
        return self.encoder.prepare(audio, sample_rate)

    def forward(self, source: Tensor, reference: Tensor) -> Tensor:
        """Give positions [batch, controls] for what `prepare` returned, stacked [batch, ...]."""
        return self.controller(self.encoder(source), self.encoder(reference))

    @torch.no_grad()
    def answer(self, source: Tensor, reference: Tensor) -> np.ndarray:
        """Give one answer for all pairs of embeddings of a recording and a style, in evaluation mode.

        Parameters
        ----------
        source, reference : Tensor [pairs, ...]
            What the encoder made of stretches of both.

        Returns
        -------
        float64 [controls]
            Logits of positions.
        """
        return self.controller.together(source, reference).cpu().numpy()

    @torch.no_grad()
    def positions(self, source: np.ndarray, reference: np.ndarray) -> np.ndarray:
        """Give positions float64 [batch, controls] for stacked arrays, in evaluation mode.

        A controller that searches does so here; `forward` gives its guess.
        """
        device = next(self.parameters()).device
        was_training = self.training
        self.eval()
        both = (torch.as_tensor(np.asarray(part, np.float32), device=device) for part in (source, reference))
        out = self.controller.each(*(self.encoder(part) for part in both)).double().cpu().numpy()
        self.train(was_training)
        return out


def make_style_network(
    *, controls: int, encoder: str = "statistics", controller: str = "residual", **options: Any
) -> StyleNetwork:
    """Build a style network from names.

    Parameters
    ----------
    controls : int
    encoder, controller : str
        Names in `ENCODERS` and `CONTROLLERS`.
    **options
        Further arguments of the controller.

    Raises
    ------
    RecipeError
        When a name is not known.
    """
    if controller not in CONTROLLERS:
        raise RecipeError(f"no controller is called '{controller}'; {nearest(controller, list(CONTROLLERS))}")
    hears = make_encoder(encoder)
    try:
        made = CONTROLLERS[controller](hears.dimension, controls, **options)
    except TypeError as error:
        raise RecipeError(
            f"the controller '{controller}' can't be built so: {error}; look at controller_options in the recipe"
        ) from None
    return StyleNetwork(hears, made)
