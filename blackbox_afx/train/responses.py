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

from typing import Any

import numpy as np

from blackbox_afx.errors import PluginError
from blackbox_afx.features.filters import impulse
from blackbox_afx.features.responses import response_db
from blackbox_afx.plugins.chain import ChainSpec
from blackbox_afx.train.patches import SettingPlan, draw_values, render_or_note


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
