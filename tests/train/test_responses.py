"""Measured responses: that they are the plugin's, and that a filter's network learns them."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.signal
import torch

from blackbox_afx.features.statistics import DIMENSION
from blackbox_afx.plugins.builtins import builtin_profile
from blackbox_afx.plugins.chain import ChainSpec
from blackbox_afx.plugins.farm import Farm
from blackbox_afx.plugins.jobs import CallJob
from blackbox_afx.proxies.feature_proxy import FeatureProxy
from blackbox_afx.proxies.filter_gain import Response
from blackbox_afx.train.budget import Clock
from blackbox_afx.train.patches import SettingPlan
from blackbox_afx.train.response_stage import ResponseStage
from blackbox_afx.train.responses import measure_responses
from blackbox_afx.train.run_folder import RunFolder
from blackbox_afx.train.warm_start import Examples, fit_proxy
from tests.cookbook import peak

RATE = 24000
PLAN = SettingPlan()
PEAK = ChainSpec(profiles=(builtin_profile("PeakFilter"),))
FREQUENCIES = np.geomspace(0.01, 0.9, 40)


def peak_db(frequency: float, gain_db: float, q: float) -> np.ndarray:
    """Give a peak filter's response after the Audio EQ Cookbook, by scipy."""
    _, response = scipy.signal.freqz(*peak(frequency, gain_db, q, RATE), np.pi * FREQUENCIES)
    return 20 * np.log10(np.abs(response))


def test_a_peak_filter_measures_as_the_cookbook_says():
    job = CallJob(function=measure_responses, args=(PEAK, 3, 12, PLAN, RATE, 8192, FREQUENCIES), spec=PEAK)
    with Farm(1) as farm:
        made, again = (result.value for result in farm.run([job, job]))
    assert np.array_equal(made["decibels"], again["decibels"])
    for values, decibels in zip(made["values"], made["decibels"], strict=True):
        plain = PEAK.space.to_plain(values)
        at = {control.name: float(value) for control, value in zip(PEAK.profiles[0].active, plain, strict=True)}
        wanted = peak_db(at["Frequency"], at["Gain"], at["Q"])
        # Read off between two bins of 3 Hz: a narrow peak's tip is cut.
        assert np.abs(decibels - wanted).mean() < 0.1


def test_a_compressor_is_too_deaf_to_bend_it():
    """At -60 dBFS nothing is compressed, so that only the make-up gain, of which it has none, could be measured."""
    spec = ChainSpec(profiles=(builtin_profile("Compressor"),))
    job = CallJob(function=measure_responses, args=(spec, 3, 12, PLAN, RATE, 8192, FREQUENCIES), spec=spec)
    with Farm(1) as farm:
        (result,) = farm.run([job])
    assert np.abs(result.value["decibels"]).max() < 0.05


def stage(folder: RunFolder, farm: Farm, network: Response) -> ResponseStage:
    return ResponseStage(
        network,
        PEAK,
        farm,
        PLAN,
        frequencies=network.frequencies.numpy(),
        rate=RATE,
        seed=0,
        folder=folder,
        clock=Clock(5),
    )


def test_a_network_learns_them_and_measures_none_twice(tmp_path):
    folder = RunFolder(tmp_path / "out")
    with Farm(1) as farm:
        network = Response(3, 48, 48)
        learning = stage(folder, farm, network)
        _, decibels = learning.measured(4000)
        count, error_db = learning.run(4000)
        assert count == 4000
        assert error_db < 0.3 * float(decibels.abs().mean())
        farm.run = pytest.fail
        other = Response(3, 48, 48)
        later = stage(folder, farm, other)
        _, again = later.measured(4000)
        assert later.run(4000) == (count, error_db)
    assert (again == decibels).all()
    settings = torch.rand(5, 3)
    assert torch.equal(network.knots_db(settings), other.knots_db(settings))


def test_a_response_that_leads_away_is_forgotten():
    """Of a gate the quiet impulse says that it shuts, where what is louder passes."""
    rng = torch.Generator().manual_seed(0)
    dry = (-40 + 5 * torch.randn(8, 2, DIMENSION, generator=rng)).half()
    index = torch.cartesian_prod(torch.arange(8), torch.arange(1), torch.arange(2))
    values, wet = torch.rand(8, 1, 3, generator=rng), dry[:, None] + 0.5
    examples = Examples(dry=dry, wet=wet, values=values, rough=dry[:, None], other=dry[:, None], index=index)
    proxy = FeatureProxy(3)
    torch.nn.init.constant_(proxy.response.last.bias, -4.0)
    fit_proxy(proxy, examples, 0)
    assert not proxy.response.knots_db(values[:, 0]).any()
    torch.nn.init.constant_(proxy.response.last.bias, 0.04)
    fit_proxy(proxy, examples, 0)
    assert proxy.response.knots_db(values[:, 0]).mean() > 0.3
    assert proxy.change.mean.abs().max() < 0.6
