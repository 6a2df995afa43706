"""Choosing controls by name, pattern and effect."""

import pytest

from blackbox_afx.errors import ProfileError, UsageError
from blackbox_afx.plugins.control import Control
from blackbox_afx.plugins.profile import Identity, Meter, Profile
from blackbox_afx.plugins.select import SILENT_DB, select_controls, select_in_chain


def control(name: str, index: int, **fields) -> Control:
    ends = {"minimum": 0.0, "maximum": 1.0, "plugin_minimum": 0.0, "plugin_maximum": 1.0, "default": 0.5}
    return Control(name=name, index=index, **{**ends, **fields})


def profile(name: str, *controls: Control) -> Profile:
    meters = (Meter(name="Level", index=99, why="meter"),)
    identity = Identity(format="vst3", plugin_name=name)
    return Profile(name=name.lower(), identity=identity, controls=controls, meters=meters)


EQ = profile(
    "EQ",
    control("Freq 1", 0),
    control("Freq 2", 1),
    control("Gain", 2),
    control("Slew", 3, use=False, value=0.25),
    control("Freq S", 4, automatable=False, use=False),
)
COMP = profile("Comp", control("Threshold", 0), control("Gain", 1))


def names(chosen: Profile) -> list[str]:
    return [entry.name for entry in chosen.active]


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        ("Gain", ["Gain"]),
        ("gain, FREQ 1", ["Freq 1", "Gain"]),
        ("freq*", ["Freq 1", "Freq 2"]),
        ("Freq ?", ["Freq 1", "Freq 2"]),
        ("Freq [2-9]", ["Freq 2"]),
        ("EQ: Gain", ["Gain"]),
        ("eq:freq*", ["Freq 1", "Freq 2"]),
        ("Slew", ["Slew"]),
        ("Freq S", ["Freq S"]),
        (["Gain", "Slew"], ["Gain", "Slew"]),
    ],
)
def test_names_and_patterns(selection, expected):
    assert names(select_controls(EQ, selection)) == expected


def test_what_is_not_chosen_keeps_the_value_it_is_held_at():
    chosen = select_controls(EQ, "Gain")
    assert [(entry.name, entry.value) for entry in chosen.held] == [("Slew", 0.25)]


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        ("Gian", "did you mean 'Gain'"),
        ("Nothing*", "known: Freq 1"),
        ("", "is empty"),
        ("Level", "is a meter and can't be set"),
        ("auto:x", "expected a number of controls above 0"),
        ("auto:0", "expected a number of controls above 0"),
        ("Gain, Fre 1", "did you mean 'Freq 1'"),
    ],
)
def test_what_fits_nothing_is_an_error_in_one_line(selection, message):
    with pytest.raises(UsageError, match=message) as caught:
        select_controls(EQ, selection, moves={})
    assert "\n" not in str(caught.value)


def test_auto_takes_the_strongest_that_may_be_automated():
    moves = {0: -30.0, 1: SILENT_DB, 2: -3.0, 3: -10.0, 4: 0.0}
    assert names(select_controls(EQ, "auto:2", moves=moves)) == ["Gain", "Slew"]
    assert names(select_controls(EQ, "auto:24", moves=moves)) == ["Freq 1", "Gain", "Slew"]
    with pytest.raises(ProfileError, match="afx probe"):
        select_controls(EQ, "auto:2")
    with pytest.raises(ProfileError, match="no control moves the sound"):
        select_controls(EQ, "auto:2", moves={})


def test_in_a_chain_a_plugin_may_be_named_and_others_keep_their_own():
    eq, comp = select_in_chain([EQ, COMP], "EQ: Freq*")
    assert names(eq) == ["Freq 1", "Freq 2"]
    assert comp == COMP
    eq, comp = select_in_chain([EQ, COMP], "Gain")
    assert (names(eq), names(comp)) == (["Gain"], ["Gain"])


def test_auto_in_a_chain_ranks_all_and_leaves_no_plugin_out():
    moves = [{0: -1.0, 1: -2.0, 2: -3.0}, {0: -50.0, 1: -60.0}]
    eq, comp = select_in_chain([EQ, COMP], "auto:3", moves=moves)
    assert (names(eq), names(comp)) == (["Freq 1", "Freq 2"], ["Threshold"])
