"""Profiles of Zam plugins that need no probe: the plain value of every control is its raw one."""

from __future__ import annotations

from blackbox_afx.plugins.control import Control
from blackbox_afx.plugins.profile import Identity, Profile


def zam(name, channels, **changes):
    """A profile of a Zam VST3 whose plain values are its raw ones."""
    from blackbox_afx.plugins.pedalboard import open_vst3

    controls = tuple(
        Control(
            name=parameter.name,
            index=parameter.index,
            minimum=0,
            maximum=1,
            default=parameter.raw_value,
            plugin_minimum=0,
            plugin_maximum=1,
        )
        for parameter in open_vst3(f"/usr/lib/vst3/{name}.vst3")._parameters
        if parameter.is_automatable and parameter.num_steps == 2**31 - 1 and parameter.name != "Current Program"
    )
    identity = Identity(format="vst3", file=f"{name}.vst3", plugin_name=name)
    return Profile(name=name, identity=identity, channels=channels, controls=controls, **changes)
