"""From what a plugin says of its parameters to controls."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blackbox_afx.plugins.control import Control
from blackbox_afx.plugins.control_table import (
    choice_texts,
    control_of,
    guess_scale,
    raw_map,
    read_number,
    split_parameters,
    with_text_map,
)
from blackbox_afx.plugins.vst3 import PLAIN_POINTS, Vst3Class, Vst3Parameter


def parameter(index: int, plain=lambda raw: raw, **fields) -> Vst3Parameter:
    samples = tuple((raw, plain(raw)) for raw in PLAIN_POINTS)
    known = {
        "param_id": 1000 + index,
        "title": f"P{index}",
        "short_title": "",
        "units": " ",
        "steps": 0,
        "default": 0.5,
        "unit_id": 0,
        "automatable": True,
        "readonly": False,
        "hidden": False,
        "program": False,
        "bypass": False,
        "is_list": False,
        "plain_minimum": samples[0][1],
        "plain_maximum": samples[-1][1],
        "plain_samples": samples,
    }
    return Vst3Parameter(index=index, **{**known, **fields})


def test_flags_tell_controls_static_ones_meters_and_programs_apart():
    entry = Vst3Class(
        name="X",
        class_id="0" * 32,
        vendor="",
        version="",
        sub_categories="",
        sdk_version="",
        parameters=(
            parameter(0),
            parameter(1, automatable=False),
            parameter(2, readonly=True),
            parameter(3, automatable=True, readonly=True),
            parameter(4, program=True, hidden=True),
            parameter(5, hidden=True),
            parameter(6, bypass=True),
        ),
    )
    controls, meters = split_parameters(entry)
    assert [(c.index, c.automatable, c.use) for c in controls] == [(0, True, True), (1, False, False)]
    assert [(m.index, m.why) for m in meters] == [
        (2, "meter"),
        (3, "meter"),
        (4, "program"),
        (5, "hidden"),
        (6, "bypass"),
    ]


@given(low=st.floats(-100, 99), span=st.floats(0.5, 1000))
def test_a_straight_map_is_linear(low, span):
    assert raw_map([(raw, low + span * raw) for raw in PLAIN_POINTS]) == ("linear", ())


@given(low=st.floats(0.01, 100), ratio=st.floats(5, 1e4))
def test_an_exponential_map_is_logarithmic(low, ratio):
    assert raw_map([(raw, low * ratio**raw) for raw in PLAIN_POINTS]) == ("log", ())


@given(power=st.floats(1.5, 4))
def test_any_other_map_is_kept_as_a_table_that_says_the_same(power):
    control = control_of(parameter(0, lambda raw: 100 * raw**power))
    assert control is not None
    for raw in PLAIN_POINTS:
        assert float(control.plain_from_raw(raw)) == pytest.approx(100 * raw**power, abs=1e-4)


def test_a_decibel_scale_that_ends_at_silence_gets_a_finite_end():
    control = control_of(parameter(0, lambda raw: 20 * math.log10(raw) if raw else -math.inf, units="dB"))
    assert control is not None
    assert control.minimum == pytest.approx(20 * math.log10(1 / 8) - 60)
    assert control.maximum == 0


@pytest.mark.parametrize(
    ("unit", "low", "high", "raw_scale", "steps", "expected"),
    [
        ("Hz", 20, 20000, "linear", 0, "log"),
        ("ms", 0.1, 100, "linear", 0, "log"),
        ("ms", 10, 100, "linear", 0, "linear"),
        ("Hz", 0, 20000, "linear", 0, "linear"),
        ("", 0.1, 100, "linear", 0, "linear"),
        ("", 0.1, 100, "log", 0, "log"),
        ("Hz", 20, 20000, "linear", 5, "linear"),
    ],
)
def test_scales_are_guessed_by_unit_and_range(unit, low, high, raw_scale, steps, expected):
    assert guess_scale(unit, low, high, raw_scale, steps) == expected


def test_texts_that_only_repeat_the_number_are_dropped():
    assert choice_texts(("0.000000", "1.000000"), 0, 1) == ()
    assert choice_texts(("Off", " On "), 0, 1) == ("Off", "On")


def plain_unit_control() -> Control:
    return Control(name="Frequency", index=0, minimum=0, maximum=1, plugin_minimum=0, plugin_maximum=1, default=0)


def test_units_that_only_the_texts_tell_are_read_from_them():
    def text(raw: float) -> str:
        hertz = 20 * 1000**raw
        return f"{hertz / 1000:.4f} kHz" if hertz >= 1000 else f"{hertz:.3f} Hz"

    control = with_text_map(plain_unit_control(), text)
    assert (control.unit, control.raw_scale, control.scale) == ("Hz", "log", "log")
    assert float(control.plain_from_raw(0.5)) == pytest.approx(20 * 1000**0.5, rel=1e-3)


@pytest.mark.parametrize("text", ["{raw:.2f}", "on", "{other} %"])
def test_texts_that_say_nothing_more_change_nothing(text):
    control = plain_unit_control()
    assert with_text_map(control, lambda raw: text.format(raw=raw, other=np.sin(9 * raw))) == control


def test_numbers_in_texts():
    assert read_number("1.5 kHz") == (1500.0, "Hz")
    assert read_number("-12.0 dB") == (-12.0, "dB")
    assert read_number("off") is None
