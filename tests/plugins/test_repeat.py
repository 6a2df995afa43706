"""Choosing what makes renders repeat, from instances whose memory is known."""

from __future__ import annotations

import numpy as np
import pytest

from blackbox_afx.errors import PluginError
from blackbox_afx.plugins.repeat import FEWEST, choose_reset

AUDIO = np.ones((1, 8), np.float32)
SETTINGS = [np.array([value]) for value in np.linspace(0.1, 0.9, 9)]


class Gain:
    """Stands for a plugin: a gain, and what `trace` adds of the gain before."""

    def __init__(self, trace: float = 0.0, offset: float = 0.0) -> None:
        self.trace, self.offset = trace, offset
        self.before = 0.0

    def render(self, audio, values, sample_rate, block_size=None):
        sound = audio * np.float32(values[0] + self.trace * self.before + self.offset)
        self.before = float(values[0])
        return sound

    def close(self):
        pass


def loader(counts=None, **kinds):
    """Make instances by policy: a trace of what came before, or an offset that grows with each instance."""
    made = dict.fromkeys(kinds, 0)

    def load(policy):
        trace, spread = kinds[policy]
        made[policy] += 1
        if counts is not None:
            counts.append(policy)
        return Gain(trace, spread * made[policy])

    return load


def test_the_first_exact_policy_is_taken_and_no_other_is_tried():
    tried = []
    policy, found = choose_reset(
        loader(tried, reset=(0.1, 0), reinstantiate=(0, 0), fresh=(0, 0)), SETTINGS, AUDIO, 24000
    )
    assert policy == "reinstantiate"
    assert found["reset"] > 0
    assert found["reinstantiate"] == 0
    assert "fresh" not in tried


@pytest.mark.parametrize(
    ("reset", "spread", "expected"), [(0.1, 1e-3, "fresh"), (0.01, 0.01, "fresh"), (1e-4, 0.05, "reset")]
)
def test_chance_is_preferred_to_traces_unless_it_is_much_worse(reset, spread, expected):
    load = loader(reset=(reset, 0), reinstantiate=(0.5, 0), fresh=(0, spread))
    policy, found = choose_reset(load, SETTINGS, AUDIO, 24000)
    assert policy == expected
    assert len(found) == 3


def test_without_time_the_first_settings_are_compared_all_the_same():
    # Only the first two differ by what went before them.
    class Picky(Gain):
        def render(self, audio, values, sample_rate, block_size=None):
            self.trace = 0.1 if values[0] < 0.25 else 0.0
            return super().render(audio, values, sample_rate)

    assert len(SETTINGS) > FEWEST
    policy, found = choose_reset(lambda policy: Picky(), SETTINGS, AUDIO, 24000, budget_s=1e-9)
    assert len(found) == 3
    assert found[policy] > 0


def test_a_plugin_that_never_sounds_is_an_error():
    class Mute(Gain):
        def render(self, audio, values, sample_rate, block_size=None):
            raise PluginError("no")

    with pytest.raises(PluginError, match="no render"):
        choose_reset(lambda policy: Mute(), SETTINGS, AUDIO, 24000)
