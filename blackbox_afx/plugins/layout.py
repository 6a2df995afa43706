"""Fit plugins of one channel count to audio of another.

Conventions: audio is [channels, samples]. A mono plugin on several channels is *dual mono*: each channel goes through
it alone, with the same settings. A stereo plugin on mono gets the channel twice and gives back the left.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from blackbox_afx.errors import AudioError, PluginError
from blackbox_afx.plugins.locate import locate
from blackbox_afx.plugins.profile import Profile

Layout = tuple[int, bool]
"""How often a plugin runs (once a channel group), and whether the one channel is doubled."""


def layout_of(profile: Profile, channels: int) -> Layout:
    """Decide how a plugin takes audio of so many channels.

    Parameters
    ----------
    profile : Profile
    channels : int > 0
        Of the audio.

    Returns
    -------
    runs : int
        1, or the channel count where each channel goes through alone.
    doubled : bool
        Whether the plugin gets the one channel twice.

    Raises
    ------
    AudioError
        More than two channels for a stereo plugin.
    """
    if profile.channels in (0, channels):
        return 1, False
    if profile.channels == 1:
        return channels, False
    if channels == 1:
        return 1, True
    raise AudioError(
        f"{profile.label}: got {channels} channels, it takes 1 or 2; split the audio into stereo pairs first"
    )


def adapt(render: Callable[[np.ndarray], np.ndarray], layout: Layout, audio: np.ndarray) -> np.ndarray:
    """Render audio [channels, samples] through a plugin of another channel count.

    Parameters
    ----------
    render : callable
        The plugin, for exactly the channels it takes.
    layout : Layout
        As `layout_of` gave it for this audio.
    audio : float32 [channels, samples]

    Returns
    -------
    float32 [channels, samples]
    """
    runs, doubled = layout
    if doubled:
        return np.ascontiguousarray(render(np.repeat(audio, 2, axis=0))[:1])
    if runs == 1:
        return render(audio)
    return np.concatenate([render(np.ascontiguousarray(audio[c : c + 1])) for c in range(runs)])


def notes_on(profile: Profile, channels: int) -> list[str]:
    """Say what a channel count means for a plugin.

    Parameters
    ----------
    profile : Profile
    channels : int
        Of the audio.

    Returns
    -------
    list of str
        One line each; empty where the plugin takes that many channels as they are.
    """
    runs, doubled = layout_of(profile, channels)
    if doubled:
        line = f"{profile.label} is stereo: the one channel goes in twice and its left output is kept"
        return [line + _twin(profile.mono_twin, "mono", profile.identity.format)]
    if runs == 1:
        return []
    line = f"{profile.label} is mono: it runs on each of the {channels} channels alone (dual mono)"
    if profile.dynamics:
        line += "; its gain follows each channel's own level, so the stereo image moves"
    return [line + _twin(profile.stereo_twin, "stereo", profile.identity.format)]


def _twin(file: str, kind: str, format: str) -> str:
    """Name the plugin that takes the channels as they are, if it is installed."""
    if not file:
        return ""
    try:
        locate(file, format)
    except PluginError:
        return ""
    return f"; use its {kind} twin {Path(file).stem} instead"
