"""What a method trains: the style network and, where the effect is a network of its own, that too."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from blackbox_afx.errors import RecipeError
from blackbox_afx.networks.controller import ResidualController
from blackbox_afx.networks.style import StyleNetwork

if TYPE_CHECKING:
    from blackbox_afx.train.methods import Method
    from blackbox_afx.train.recipe import Recipe

FIT_BATCHES = 4


class Learner(nn.Module):
    """Hold all that learns in the audio stage.

    Parameters
    ----------
    network : StyleNetwork
    effect : nn.Module or None
        The effect, where it has weights that learn.
    """

    def __init__(self, network: StyleNetwork, effect: nn.Module | None) -> None:
        super().__init__()
        self.network = network
        self.effect = effect


def wants_warm_start(recipe: Recipe, method: Method) -> bool:
    """Say whether a run has a warm start.

    Raises
    ------
    RecipeError
        The recipe wants one and the method can't have it, or wants none where there is nothing else.
    """
    if recipe.warm_start and not method.means_controls:
        raise RecipeError(
            f"warm_start = true with the method '{recipe.method}', whose positions mean nothing to the plugin; "
            "leave it out"
        )
    if recipe.warm_start is False and method.guide == "features":
        raise RecipeError(
            f"warm_start = false with the method '{recipe.method}', whose derivative comes from the feature proxy that "
            "a warm start trains; leave it out, or choose the method 'orthogonal'"
        )
    if recipe.warm_start is False and not method.has_audio_stage:
        raise RecipeError(f"warm_start = false with the method '{recipe.method}' leaves nothing to do; leave it out")
    return method.means_controls if recipe.warm_start is None else recipe.warm_start


def fit_standardisation(network: StyleNetwork, pairs: Callable[[int], dict[str, Tensor]]) -> None:
    """Measure a residual controller's standardisation on a few training pairs, where no warm start does."""
    controller = network.controller
    if not isinstance(controller, ResidualController) or controller.standardised:
        return
    with torch.no_grad():
        batches = [pairs(-100 - k) for k in range(FIT_BATCHES)]
        source, reference = (
            torch.cat([network.encoder(batch[name]) for batch in batches]) for name in ("source", "reference")
        )
        controller.fit(source, reference)
