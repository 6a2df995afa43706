"""The feature proxy: starts as something harmless and learns what a gain and a choice do."""

from __future__ import annotations

import numpy as np
import scipy.signal
import torch

from blackbox_afx.features.filters import impulse
from blackbox_afx.features.foretell import IN_BANDS, filter_statistics
from blackbox_afx.features.responses import response_db
from blackbox_afx.features.statistics import BANDS, DIMENSION, LAYOUT, statistics
from blackbox_afx.losses.sound import SoundDistance
from blackbox_afx.proxies.curve import Curve
from blackbox_afx.proxies.feature_proxy import FeatureProxy, filtered, level_changes
from blackbox_afx.train.warm_start import Examples, fit_proxy


def data(count: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Statistics, positions, and what 24 dB of gain at the first position make of them."""
    rng = np.random.default_rng(0)
    dry = torch.from_numpy(rng.normal(-40, 10, (count, DIMENSION))).float()
    positions = torch.from_numpy(rng.random((count, 2))).float()
    return dry, positions, dry + 48 * (positions[:, :1] - 0.5)


def test_it_learns_a_gain():
    torch.manual_seed(0)
    dry, positions, wet = data(512)
    proxy = FeatureProxy(2, width=64)
    proxy.source.fit(dry.mean(0), dry.std(0))
    proxy.change.fit((wet - dry).mean(0), (wet - dry).std(0))
    optimizer = torch.optim.AdamW(proxy.parameters(), lr=3e-3)
    for _ in range(150):
        optimizer.zero_grad()
        proxy.error(dry, positions, wet).backward()
        optimizer.step()
    with torch.no_grad():
        assert (proxy(dry, positions) - wet).abs().mean() < 1.5


def test_positions_get_gradients_even_at_the_ends():
    proxy = FeatureProxy(3)
    positions = torch.tensor([[0.0, 1.0, 0.5]], requires_grad=True)
    proxy(torch.zeros(1, DIMENSION), positions).square().sum().backward()
    assert torch.isfinite(positions.grad).all()
    assert (positions.grad != 0).all()


def test_a_number_that_never_moves_is_not_divided_by_zero():
    proxy = FeatureProxy(1)
    proxy.source.fit(torch.zeros(DIMENSION), torch.zeros(DIMENSION))
    proxy.change.fit(torch.zeros(DIMENSION), torch.zeros(DIMENSION))
    assert torch.isfinite(proxy(torch.full((2, DIMENSION), 1e6), torch.rand(2, 1))).all()


def test_a_measured_response_says_what_a_filter_does_to_the_bands():
    """Scipy's filter on noise: the statistics move as the response that its impulse was measured with."""
    sections = scipy.signal.butter(2, [400, 4000], "band", fs=24000, output="sos")
    noise = 0.1 * np.random.default_rng(0).standard_normal(72000)
    dry, wet = (
        torch.from_numpy(statistics(audio.astype(np.float32), 24000))[None]
        for audio in (noise, scipy.signal.sosfilt(sections, noise))
    )
    response = response_db(scipy.signal.sosfilt(sections, impulse(8192)), 24000)
    said = filtered(dry, torch.from_numpy(response).float()[None])
    for name in IN_BANDS:
        gap = (said - wet)[:, LAYOUT[name]].abs()
        assert gap.mean() < 0.1 * (dry - wet)[:, LAYOUT[name]].abs().mean(), name
        # Which frames are the loudest changes with the filter.
        assert gap.median() < (0.6 if name == "by_level" else 0.3), name
    for name in ("spread", "steps"):
        assert torch.equal(said[:, LAYOUT[name]], dry[:, LAYOUT[name]])
    # Peak, RMS and loudness fall by many dB; the centroid is left as it is.
    gap = (said - wet)[0, LAYOUT["scalars"]].abs()
    assert (dry - wet)[0, LAYOUT["scalars"]][:3].min() > 3.0
    assert gap[0] < 1.5
    assert gap[1:3].max() < 0.3
    assert said[0, LAYOUT["scalars"]][3] == dry[0, LAYOUT["scalars"]][3]
    assert (said - wet)[:, LAYOUT["levels"]].abs().mean() < 0.7
    # Files of earlier versions know no such levels.
    earlier = filtered(dry, torch.from_numpy(response).float()[None], levels=False)
    assert torch.equal(earlier[:, LAYOUT["levels"]], dry[:, LAYOUT["levels"]])
    assert torch.equal(earlier[:, LAYOUT["mean_power"]], said[:, LAYOUT["mean_power"]])


def test_levels_move_as_the_foretelling_in_numpy_says():
    rng = np.random.default_rng(0)
    heard = statistics(0.1 * rng.standard_normal(48000).astype(np.float32), 24000)
    response = rng.normal(0.0, 6.0, (4, BANDS))
    level, loudness = level_changes(torch.from_numpy(heard)[None].repeat(4, 1), torch.from_numpy(response).float())
    moved = filter_statistics(heard, response)[:, LAYOUT["scalars"]] - heard[LAYOUT["scalars"]]
    np.testing.assert_allclose(np.stack([level, loudness], 1), moved[:, 1:3], atol=1e-3)


def test_level_counts_in_the_error_more_than_one_number_of_many():
    proxy = FeatureProxy(1)
    torch.nn.init.zeros_(proxy.last.weight)
    torch.nn.init.zeros_(proxy.last.bias)
    dry, at = torch.full((1, DIMENSION), -40.0), torch.full((1, 1), 0.5)
    scalars = LAYOUT["scalars"].start
    louder, other = dry.clone(), dry.clone()
    louder[:, scalars + 1] += 3.0
    other[:, LAYOUT["spread"].start] += 3.0
    assert proxy.error(dry, at, louder) > 10 * proxy.error(dry, at, other)


def test_a_told_response_is_what_an_untrained_proxy_begins_from_and_stays_as_it_is():
    torch.manual_seed(0)
    curve = Curve(2, 256, BANDS)
    torch.nn.init.normal_(curve.last.weight, std=0.1)
    proxy = FeatureProxy(2, width=64)
    torch.nn.init.zeros_(proxy.last.weight)
    torch.nn.init.zeros_(proxy.last.bias)
    at, dry = torch.rand(3, 2), torch.full((3, DIMENSION), -40.0)
    assert torch.equal(proxy(dry, at), dry)
    proxy.take_response(curve)
    assert torch.allclose(proxy(dry, at), filtered(dry, curve.knots_db(at)), atol=1e-4)
    proxy.error(dry, at, dry + 1).backward()
    assert all(weight.grad is None for weight in proxy.response.parameters())
    proxy.forget_response()
    assert torch.equal(proxy(dry, at), dry)


def test_silence_in_a_recording_stays_silent():
    """What a gain of 24 dB leaves of it, as measured: the pauses' levels do not rise from where decibels stop."""
    sounding = 0.005 * np.random.default_rng(0).standard_normal(60000)
    audio = np.concatenate([sounding, np.zeros(36000)]).astype(np.float32)
    dry, wet = (torch.from_numpy(statistics(part, 24000))[None] for part in (audio, audio * 10 ** (24 / 20)))
    said = filtered(dry, torch.full((1, BANDS), 24.0))
    assert (said - wet)[:, LAYOUT["levels"]].abs().max() < 0.1
    assert (said - wet)[:, LAYOUT["scalars"]].abs().max() < 0.1
    nothing = torch.from_numpy(statistics(np.zeros(48000, np.float32), 24000))[None]
    said = filtered(nothing, torch.full((1, BANDS), 24.0))
    assert torch.equal(said[:, LAYOUT["scalars"]], nothing[:, LAYOUT["scalars"]])


def test_what_is_heard_is_summed_in_full_precision():
    torch.manual_seed(0)
    dry, positions, wet = data(64)
    proxy = FeatureProxy(2, width=32)
    full = proxy.error(dry, positions, wet)
    with torch.autocast("cpu", torch.bfloat16):
        said, rounded = proxy(dry, positions), proxy.error(dry, positions, wet)
    parts = SoundDistance().parts(said, wet)
    assert all(part.dtype == torch.float32 for part in parts.values())
    assert abs(rounded - full) < 0.01 * full


def test_a_proxy_of_an_earlier_version_is_standardised_by_what_it_foretells():
    rng = torch.Generator().manual_seed(0)
    dry = (-40 + 5 * torch.randn(8, 2, DIMENSION, generator=rng)).half()
    index = torch.cartesian_prod(torch.arange(8), torch.arange(1), torch.arange(2))
    examples = Examples(
        dry=dry, wet=dry[:, None], values=torch.rand(8, 1, 2), rough=dry[:, None], other=dry[:, None], index=index
    )
    for levels in (True, False):
        proxy = FeatureProxy(2, levels=levels)
        torch.nn.init.constant_(proxy.response.last.bias, 0.01)
        fit_proxy(proxy, examples, 0)
        clip, setting, half = index.unbind(1)
        at = examples.values[clip, setting]
        left = dry[clip, half] - filtered(dry[clip, half].float(), proxy.response.knots_db(at), levels=levels)
        torch.testing.assert_close(proxy.change.mean, left.mean(0), atol=1e-3, rtol=0)
