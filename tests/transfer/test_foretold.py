"""Styles that impulses foretell, against what the plugins really make."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize

from blackbox_afx.features.statistics import statistics
from blackbox_afx.features.style import style_distance, style_of, style_weights
from blackbox_afx.plugins.builtins import builtin_profile
from blackbox_afx.plugins.chain_spec import ChainSpec
from blackbox_afx.plugins.farm_worker import Worker
from blackbox_afx.plugins.resolve import resolve_plugin
from blackbox_afx.transfer.foretold import Foretold, impulses_of, measure_tables, places_of, table_calls
from tests.transfer.test_static import sound

RATE = 24000


@pytest.fixture
def worker():
    made = Worker()
    yield made
    made.close()


def styles(worker: Worker, spec: ChainSpec, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give statistics at the first point, and the styles at all of them."""
    take = 0.1 * sound(RATE, seconds=3.0)
    heard = np.stack([statistics(worker.chain(spec).render(take, point, RATE)[0], RATE) for point in points])
    return heard[0], style_of(heard)


@pytest.mark.zam
def test_a_graphic_equaliser_is_foretold_over_its_whole_travel(worker):
    """Bands far from where the tables were measured, all at once."""
    spec = ChainSpec(profiles=(resolve_plugin("zam_geq31"),))
    anchor = spec.space.defaults
    points = np.stack([anchor, *np.random.default_rng(1).uniform(0.1, 0.9, (3, len(anchor)))])
    heard, made = styles(worker, spec, points)
    foretold = Foretold(anchor, heard, measure_tables(worker, spec, anchor, RATE)).styles(points)
    np.testing.assert_allclose(foretold[0], made[0], atol=1e-6)
    moved, left = style_distance(made[0], made[1:]), style_distance(foretold[1:], made[1:])
    assert (moved > 0.15).all()
    assert (left < 0.2 * moved).all()


@pytest.mark.zam
def test_an_equaliser_is_foretold_near_its_anchor_and_a_compressor_left_alone(worker):
    spec = ChainSpec(profiles=(resolve_plugin("zam_eq2"), resolve_plugin("zam_comp")))
    anchor = spec.space.snap(np.random.default_rng(2).uniform(0.3, 0.7, len(spec.space)))
    tables = measure_tables(worker, spec, anchor, RATE)
    heard, _ = styles(worker, spec, anchor[None])
    foretold = Foretold(anchor, heard, tables)
    flat = [name for name, moving in zip(spec.names, foretold.moving, strict=True) if not moving]
    assert {name.partition(": ")[2] for name in flat if "Comp" in name} >= {"Threshold", "Ratio", "Attack", "Release"}
    near = anchor + np.random.default_rng(3).uniform(-0.08, 0.08, len(anchor)) * foretold.moving
    _, made = styles(worker, spec, np.stack([anchor, spec.space.snap(near)]))
    told = foretold.styles(spec.space.snap(near)[None])[0]
    assert style_distance(told, made[1]) < 0.2 * style_distance(made[0], made[1])


def test_slopes_are_those_of_differences(worker):
    spec = ChainSpec(profiles=(builtin_profile("PeakFilter"), builtin_profile("Gain")))
    anchor = spec.space.defaults
    heard, made = styles(worker, spec, anchor[None])
    foretold = Foretold(anchor, heard, measure_tables(worker, spec, anchor, RATE))
    row = style_weights() * (made[0] - 3.0)
    point = np.full(len(anchor), 0.37)
    differences = optimize.approx_fprime(point, lambda p: float(foretold.styles(p[None])[0] @ row), 1e-6)
    np.testing.assert_allclose(foretold.pull_back(point, row), differences, rtol=1e-3, atol=1e-4)
    foretold.hold(len(anchor) - 1)
    assert foretold.pull_back(point, row)[-1] == 0
    np.testing.assert_allclose(foretold.response(anchor), 0, atol=1e-9)


def test_stepped_controls_are_turned_to_their_steps():
    spec = ChainSpec(profiles=(builtin_profile("LadderFilter"),))
    stepped = np.flatnonzero(~spec.space.continuous)
    assert len(stepped)
    found = places_of(spec, np.zeros(len(spec.space)))
    for control in stepped:
        choices = round(1 / float(spec.space.resolution[control]))
        places = found[control]
        assert len(places) == choices
        np.testing.assert_allclose(np.array(places) * choices, np.arange(1, choices + 1), atol=1e-9)
    assert 0 < table_calls(spec, 8.0) < 1


def test_what_depends_on_level_has_flat_tables(worker):
    """A drive lifts an impulse by what it would never lift a voice; a gate that is shut lets none through."""
    for name, settings in (("Distortion", {}), ("NoiseGate", {"Threshold": 0.7})):
        spec = ChainSpec(profiles=(builtin_profile(name), builtin_profile("HighShelfFilter")))
        anchor = spec.space.defaults.copy()
        for label, place in settings.items():
            anchor[[text.endswith(label) for text in spec.names].index(True)] = place
        tables = measure_tables(worker, spec, spec.space.snap(anchor), RATE)
        own = spec.slices[0]
        np.testing.assert_array_equal(tables[own], 0.0, err_msg=name)
        assert np.abs(tables[spec.slices[1]]).max() > 3, name


def test_no_more_impulses_are_rendered_than_counted(worker, monkeypatch):
    spec = ChainSpec(profiles=(builtin_profile("LadderFilter"), builtin_profile("PeakFilter")))
    chain, rendered = worker.chain(spec), [0, 0]
    plain = chain.render_one

    def counting(plugin, *arguments):
        rendered[plugin] += 1
        return plain(plugin, *arguments)

    monkeypatch.setattr(chain, "render_one", counting)
    measure_tables(worker, spec, spec.space.defaults, RATE)
    assert (np.array(rendered) <= impulses_of(spec)).all()
    assert min(rendered) > len(spec.space) / 2
    seconds = 3.0
    calls = spec.shares @ np.array(rendered) * 0.064 / seconds
    assert calls <= table_calls(spec, seconds) < 2 * calls


@pytest.mark.parametrize("rate", [44100, 48000])
def test_other_rates_tell_the_same(worker, rate):
    """In bands up to 8 kHz; above, a filter near half the rate is another one."""
    spec = ChainSpec(profiles=(builtin_profile("PeakFilter"),))
    one, two = (measure_tables(worker, spec, spec.space.defaults + 0.1, r) for r in (RATE, rate))
    np.testing.assert_allclose(one[:, :, 2:50], two[:, :, 2:50], atol=1.0)
