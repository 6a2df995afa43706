"""The search through a proxy: nearer to the expected outcome than the guess, row by row, and toggles stay."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import expit, logit

from blackbox_afx.errors import RecipeError
from blackbox_afx.features.statistics import statistics
from blackbox_afx.losses.sound import SoundDistance
from blackbox_afx.networks.search import SearchController
from blackbox_afx.networks.style import make_style_network

CONTROLS = 3


@pytest.fixture
def heard() -> tuple[torch.Tensor, torch.Tensor]:
    """Statistics of five recordings and of their references, which are louder and darker."""
    rng = np.random.default_rng(0)
    dry = [0.05 * rng.standard_normal(24000).astype(np.float32) for _ in range(5)]
    wet = [2.0 * np.convolve(clip, [0.5, 0.5], "same") for clip in dry]
    return tuple(torch.as_tensor(np.stack([statistics(clip, 24000) for clip in clips])) for clips in (dry, wet))


def controller(continuous: list[bool] | None = None) -> SearchController:
    """Make a controller whose proxy's controls all turn the sound, and whose expected outcome is within reach."""
    torch.manual_seed(0)
    # Held loosely to a guess that nobody trained.
    made = SearchController(854, CONTROLS, width=32, blocks=1, pull=1.0, shares=True)
    made.proxy.change.deviation.fill_(10.0)
    made.take_proxy(made.proxy, np.array(continuous or [True] * CONTROLS))
    made.expectation.change.deviation.fill_(3.0)
    return made.eval()


def test_the_search_comes_nearer_to_the_expected_outcome_than_the_guess(heard):
    source, reference = heard
    network = controller()
    with torch.no_grad():
        guess, wanted = network.both(source, reference)
        found = network.each(source, reference)
        distance = SoundDistance()
        before, after = (distance(network.proxy(source, p), wanted) for p in (guess, found))
    assert ((found > 0) & (found < 1)).all()
    assert (after <= before + 1e-6).all()
    assert after.mean() < 0.98 * before.mean()


def test_rows_do_not_depend_on_each_other(heard):
    source, reference = heard
    network = controller()
    together = network.each(source, reference)
    alone = torch.cat([network.each(source[k : k + 1], reference[k : k + 1]) for k in range(len(source))])
    torch.testing.assert_close(together, alone, atol=1e-3, rtol=0)


def test_toggles_keep_the_guess_and_no_step_is_the_guess(heard):
    network = controller([True, False, True])
    with torch.no_grad():
        guess, _ = network.both(*heard)
    found = network.each(*heard)
    assert torch.equal(found[:, 1], guess[:, 1])
    assert not torch.equal(found[:, 0], guess[:, 0])
    network.steps = 0
    assert torch.equal(network.each(*heard), guess)


def test_what_a_user_gets_is_searched_and_what_is_trained_is_the_guess(heard):
    torch.manual_seed(0)
    style = make_style_network(controls=CONTROLS, controller="search").eval()
    with torch.no_grad():
        trained = style(*heard)
    used = style.positions(*(part.numpy() for part in heard))
    np.testing.assert_allclose(used, style.controller.each(*heard).double().numpy(), atol=1e-6)
    assert not np.allclose(used, trained.numpy())
    assert style.positions(*(part.numpy() for part in heard)).tolist() == used.tolist()


@pytest.mark.parametrize("name", ["residual", "search"])
def test_stretches_of_one_recording_get_one_answer(heard, name):
    """Pairs that are alike get what each would get; of others the logits are averaged."""
    torch.manual_seed(0)
    style = make_style_network(controls=CONTROLS, controller=name).eval()
    each = style.positions(*(part.numpy() for part in heard))
    alike = style.answer(*(part[:1].repeat(3, 1) for part in heard))
    assert alike.dtype == np.float64
    np.testing.assert_allclose(expit(alike), each[0], atol=1e-3)
    together = style.answer(*heard)
    assert together.shape == (CONTROLS,)
    if name == "residual":
        np.testing.assert_allclose(together, logit(each).mean(0), atol=1e-5)


def test_other_embeddings_are_refused():
    with pytest.raises(
        RecipeError, match="given embeddings of 1024 numbers; expected those of the encoders 'statistics' or 'mixture'"
    ):
        make_style_network(controls=3, encoder="efficientnet_b2", controller="search")
