"""What a filter's network learns from before it hears anything: magnitude responses, measured on the plugin.

An impulse too quiet for most thresholds goes through the plugin at a random setting; what comes out is the plugin's
linear part there. Whether it says what becomes of louder audio is looked at by those who use it.
One such render costs a millisecond and names the response at every frequency, where a patch of speech and a loss on
its spectrogram only hint at it: an equaliser is learned from it in a minute.

Runs in render workers, so nothing here imports torch.

References
----------
Farina, "Simultaneous measurement of impulse response and distortion with a swept-sine technique", AES 108, 2000, for
why a plugin's linear part is measured where its other parts are out of the way.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from blackbox_afx.errors import PluginError
from blackbox_afx.features.bands import band_bank
from blackbox_afx.features.filters import IMPULSE_DBFS, impulse
from blackbox_afx.features.statistics import BANDS
from blackbox_afx.plugins.chain import ChainSpec
from blackbox_afx.train.patches import SettingPlan, draw_values, render_or_note

FLOOR_DB = -100.0


@functools.lru_cache(maxsize=4)
def _bank(samples: int, rate: int) -> np.ndarray:
    return band_bank(np.arange(samples // 2 + 1) * rate / samples, BANDS)[0]


def response_db(wet: np.ndarray, rate: int, frequencies: np.ndarray | None = None) -> np.ndarray:
    """Give the magnitude response in dB, from what became of `impulse`.

    Parameters
    ----------
    wet : array, shape [samples]
    rate : int
        Hertz.
    frequencies : array, shape [knots], optional
        Shares of the Nyquist frequency, rising, 0 to 1. By default mean powers in the bands of
        `blackbox_afx.features.statistics`.

    Returns
    -------
    array, shape [knots] or [BANDS]
    """
    power = np.square(np.abs(np.fft.rfft(wet)) / 10 ** (IMPULSE_DBFS / 20))
    floor = 10 ** (FLOOR_DB / 10)
    if frequencies is None:
        return 10 * np.log10(power @ _bank(len(wet), rate) + floor)
    return np.interp(frequencies, np.linspace(0, 1, len(power)), 10 * np.log10(power + floor))


def measure_responses(
    worker: Any,
    spec: ChainSpec,
    seed: int,
    count: int,
    plan: SettingPlan,
    rate: int,
    taps: int,
    frequencies: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Measure the plugin's response at random settings; those whose render fails are left out.

    Parameters
    ----------
    worker : Worker
    spec : ChainSpec
    seed, count : int
    plan : SettingPlan
        Says how settings are drawn.
    rate : int
        Hertz.
    taps : int
        Samples rendered.
    frequencies : array, shape [knots], optional
        As `response_db`.

    Returns
    -------
    dict
        ``values`` float32 [settings, controls] and ``decibels`` float32 [settings, knots].

    Raises
    ------
    PluginError
        When no render succeeded.
    """
    rng = np.random.default_rng(seed)
    visited = np.load(plan.visited) if plan.visited else None
    dry = impulse(taps)[None]
    rows: list[tuple[np.ndarray, np.ndarray]] = []
    for k in range(count):
        values = draw_values(rng, spec, plan, visited)
        worker.at(k)
        wet = render_or_note(worker, spec, dry, values, rate)
        if wet is None:
            continue
        rows.append((values.astype(np.float32), response_db(wet[0], rate, frequencies).astype(np.float32)))
    if not rows:
        raise PluginError(f"{spec.label}: none of {count} responses could be measured; probe the plugin again")
    return dict(zip(("values", "decibels"), map(np.stack, zip(*rows, strict=True)), strict=True))
