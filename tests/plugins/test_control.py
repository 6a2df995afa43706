"""Position, raw and plain."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blackbox_afx.errors import ProfileError
from blackbox_afx.plugins.control import Control, ControlSpace

UNIT = st.floats(0, 1)


@st.composite
def controls(draw: st.DrawFn) -> Control:
    log = draw(st.booleans())
    low = draw(st.floats(0.01, 100)) if log else draw(st.floats(-100, 100))
    high = low * draw(st.floats(1.5, 1000)) if log else low + draw(st.floats(0.1, 1000))
    scale = "log" if log else "linear"
    ends = sorted(draw(st.lists(st.floats(0, 1), min_size=2, max_size=2)))
    if ends[1] - ends[0] < 0.1:
        ends = [0.0, 1.0]
    plugin = {"plugin_minimum": low, "plugin_maximum": high, "raw_scale": scale}
    whole = Control(name="x", index=0, minimum=low, maximum=high, default=low, **plugin)
    inner = [float(whole.plain_from_raw(end)) for end in ends]
    return Control(name="x", index=0, minimum=inner[0], maximum=inner[1], scale=scale, default=low, **plugin)


@given(controls(), UNIT)
def test_position_goes_round(control: Control, position: float) -> None:
    raw = control.raw_from_position(position)
    assert 0 <= raw <= 1
    assert control.position_from_raw(raw) == pytest.approx(position, abs=1e-6)


@given(controls(), UNIT, UNIT)
def test_maps_are_monotone(control: Control, a: float, b: float) -> None:
    a, b = sorted((a, b))
    assert control.plain_from_position(a) <= control.plain_from_position(b) + 1e-9


@given(st.integers(1, 40), UNIT)
def test_steps_snap_to_the_grid(steps: int, position: float) -> None:
    control = Control(
        name="mode",
        index=0,
        minimum=0,
        maximum=steps,
        default=0,
        steps=steps,
        plugin_minimum=0,
        plugin_maximum=steps,
    )
    raw = float(control.raw_from_position(position))
    assert raw * steps == pytest.approx(round(raw * steps), abs=1e-9)
    assert abs(raw - position) <= 0.5 / steps + 1e-9


def test_table_that_falls() -> None:
    control = Control(
        name="t",
        index=0,
        minimum=0,
        maximum=10,
        default=5,
        plugin_minimum=10,
        plugin_maximum=0,
        raw_table=((0, 10), (0.5, 2), (1, 0)),
    )
    assert control.raw_from_plain(2) == pytest.approx(0.5)
    assert control.plain_from_raw(0.25) == pytest.approx(6)


def test_log_middle_is_the_geometric_mean() -> None:
    control = Control(
        name="f",
        index=0,
        minimum=20,
        maximum=20000,
        scale="log",
        default=1000,
        plugin_minimum=20,
        plugin_maximum=20000,
        raw_scale="log",
    )
    assert control.plain_from_position(0.5) == pytest.approx(np.sqrt(20 * 20000))


def test_words() -> None:
    gain = Control(name="g", index=0, unit="dB", minimum=-1, maximum=1, default=0, plugin_minimum=-1, plugin_maximum=1)
    mode = Control(
        name="m",
        index=1,
        minimum=0,
        maximum=2,
        default=0,
        steps=2,
        texts=("a", "b", "c"),
        plugin_minimum=0,
        plugin_maximum=2,
    )
    assert gain.text(0.5) == "0.5 dB"
    assert mode.text(1) == "b"
    assert mode.kind == "choice"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"minimum": -30}, "outside the plugin's range"),
        ({"maximum": -12, "minimum": -12}, "widen the range"),
        ({"scale": "log"}, "needs a range above 0"),
        ({"steps": -1}, "steps = -1"),
        ({"default": np.nan}, "finite"),
    ],
)
def test_impossible_controls(changes: dict[str, object], message: str) -> None:
    fields = {"minimum": -12, "maximum": 12, "default": 0, "plugin_minimum": -24, "plugin_maximum": 24}
    with pytest.raises(ProfileError, match=message):
        Control(name="g", index=0, **{**fields, **changes})


def test_space_maps_batches_and_names() -> None:
    rows = [
        Control(name=name, index=k, minimum=0, maximum=1, default=0.25, plugin_minimum=0, plugin_maximum=2)
        for k, name in enumerate(("drive", "mix"))
    ]
    space = ControlSpace(rows)
    positions = np.random.default_rng(0).random((3, 4, 2))
    np.testing.assert_allclose(space.from_raw(space.to_raw(positions)), positions, atol=1e-12)
    np.testing.assert_allclose(space.to_raw(positions), positions / 2)
    assert space.defaults.tolist() == [0.25, 0.25]
    assert space.index("mix") == 1
    with pytest.raises(ProfileError, match="did you mean 'drive'"):
        space.index("drve")
    with pytest.raises(ValueError, match="2 controls"):
        space.to_raw(np.zeros(3))


def test_a_range_that_holds_no_step_is_refused() -> None:
    choices = {"steps": 4, "plugin_minimum": 0, "plugin_maximum": 4, "default": 0}
    with pytest.raises(ProfileError, match=r"no step lies between minimum 1\.4 and maximum 1\.6"):
        Control(name="x", index=0, minimum=1.4, maximum=1.6, **choices)
    one = Control(name="x", index=0, minimum=1.2, maximum=2.2, **choices)
    assert one.plain_from_position(np.array([0.0, 0.4, 1.0])).tolist() == [1.0, 1.0, 2.0]


@pytest.mark.parametrize(
    "table", [((0.0, 1.0),), ((1.0, 0.0), (0.0, 5.0)), ((0.0, 0.0), (0.5, 3.0), (1.0, 2.0)), ((0.1, 0.0), (1.0, 2.0))]
)
def test_a_table_that_is_no_map_is_refused(table: tuple) -> None:
    ends = {"minimum": 0, "maximum": 2, "default": 0, "plugin_minimum": 0, "plugin_maximum": 2}
    with pytest.raises(ProfileError, match="raw_table must rise"):
        Control(name="x", index=0, raw_table=table, **ends)
