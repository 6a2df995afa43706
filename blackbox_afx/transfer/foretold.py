"""What the linear part of a chain will make of a recording at settings that were never rendered.

A quiet impulse through one plugin alone says how it raises and lowers each band, at a few percent of a render's cost.
Measured at the setting at hand, the *anchor*, and with each control turned, one after the other, to a few places
between its ends, that gives a table for each control: how many dB it adds in each band, wherever it is turned. The
tables are added up. For gains, and for bands that don't meet, that is exact over the whole travel; where controls
depend on one another it holds near the anchor. What compressors, gates and distortions do, no impulse this quiet tells:
their tables are flat, and what they do has to be learned from renders.

Conventions: P controls, B bands, positions 0 to 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from blackbox_afx.errors import PluginError
from blackbox_afx.features.filters import impulse
from blackbox_afx.features.foretell import filter_statistics, pull_back
from blackbox_afx.features.responses import response_db
from blackbox_afx.features.statistics import BANDS
from blackbox_afx.features.style import style_of, style_pull_back
from blackbox_afx.plugins.chain_spec import ChainSpec
from blackbox_afx.plugins.jobs import CallJob, audio_flaw

PLACES = 4
"""Places that a continuous control is turned to, from end to end."""
MOST_CHOICES = 8
"""Stepped controls with more values than this are turned to `PLACES` of them."""
NEAR = 0.08
"""Places this near to the anchor are left out: a step as small says more of rounding than of the control."""
IMPULSE_S = 0.064
"""Seconds of an impulse's render; what rings on longer, at the lowest frequencies, is cut."""
CELLS = 32
"""Cells of a table; between two places it follows a curve without overshoot."""


class Foretold:
    """Foretell styles from one render and its tables.

    Parameters
    ----------
    anchor : float64 [P]
        Positions of the render.
    statistics : float [DIMENSION]
        Of what was rendered there.
    tables : float32 [P, CELLS + 1, B]
        dB that each control adds to what the anchor has, as `measure_tables` gives them.
    """

    def __init__(self, anchor: np.ndarray, statistics: np.ndarray, tables: np.ndarray) -> None:
        self.anchor, self.statistics = anchor, np.asarray(statistics, np.float64)
        self._low = np.asarray(tables[:, :-1], np.float64)
        self._rise = np.diff(np.asarray(tables, np.float64), axis=1)
        self._rows = np.arange(len(tables))

    @property
    def moving(self) -> np.ndarray:
        """Which controls the tables say anything of, bool [P]: half a dB in some band between two places."""
        return np.abs(np.cumsum(self._rise, axis=1)).max(axis=(1, 2), initial=0.0) > 0.5

    def hold(self, control: int) -> None:
        """Foretell nothing of a control, since more is known of it."""
        self._low[control] = self._rise[control] = 0.0

    def _cells(self, point: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        places = np.clip(point, 0.0, 1.0) * CELLS
        cells = np.minimum(places.astype(int), CELLS - 1)
        return cells, places - cells

    def response(self, point: np.ndarray) -> np.ndarray:
        """Give the response in dB [B] of a setting [P], relative to the anchor's."""
        cells, share = self._cells(point)
        return self._low[self._rows, cells].sum(0) + share @ self._rise[self._rows, cells]

    def styles(self, points: np.ndarray) -> np.ndarray:
        """Foretell the styles [M, K] of settings [M, P]."""
        responses = np.stack([self.response(point) for point in points]) if len(points) else np.zeros((0, BANDS))
        return style_of(filter_statistics(self.statistics, responses))

    def pull_back(self, point: np.ndarray, row: np.ndarray) -> np.ndarray:
        """Multiply a row [K] by the Jacobian of a setting's foretold style: float64 [P]."""
        cells, _ = self._cells(point)
        bands = pull_back(self.statistics, self.response(point), style_pull_back(row))
        return CELLS * (self._rise[self._rows, cells] @ bands)


def measure_tables(worker: Any, spec: ChainSpec, anchor: np.ndarray, sample_rate: int) -> np.ndarray:
    """Measure each control's table at a setting; runs in a farm worker.

    Parameters
    ----------
    worker : Worker
    spec : ChainSpec
    anchor : float64 [P]
    sample_rate : int
        Hertz.

    Returns
    -------
    float32 [P, CELLS + 1, B]

    Raises
    ------
    PluginError
        A render was not sound.
    """
    from scipy.interpolate import PchipInterpolator

    chain, dry = worker.chain(spec), impulse(round(IMPULSE_S * sample_rate))[None]

    def respond(plugin: int, point: np.ndarray) -> np.ndarray:
        wet = chain.render_one(plugin, dry, point, sample_rate)
        if flaw := audio_flaw(wet):
            raise PluginError(f"{spec.labels[plugin]}, an impulse: {flaw}")
        return response_db(wet[0], sample_rate)

    fine = np.linspace(0.0, 1.0, CELLS + 1)
    tables = np.zeros((len(anchor), CELLS + 1, BANDS), np.float32)
    for plugin, controls in enumerate(spec.slices):
        here = respond(plugin, anchor)
        for control in range(controls.start, controls.stop):
            rows = {float(anchor[control]): np.zeros(BANDS)}
            for place in places_of(spec, control, float(anchor[control])):
                point = anchor.copy()
                point[control] = place
                rows[place] = respond(plugin, point) - here
            ordered = sorted(rows)
            if len(ordered) > 1:
                curve = PchipInterpolator(ordered, np.stack([rows[place] for place in ordered]))
                tables[control] = curve(np.clip(fine, ordered[0], ordered[-1]))
    return tables


def places_of(spec: ChainSpec, control: int, here: float) -> list[float]:
    """Give the positions that a control is turned to beside where it is."""
    resolution = float(spec.space.resolution[control])
    count = PLACES
    if not spec.space.continuous[control]:
        choices = round(1.0 / resolution) + 1
        count = choices if choices <= MOST_CHOICES else PLACES
    point = spec.space.defaults.copy()
    places = []
    for place in np.linspace(0.0, 1.0, count):
        point[control] = place
        place = float(spec.space.snap(point)[control])
        if abs(place - here) > (NEAR if spec.space.continuous[control] else 1e-9):
            places.append(place)
    return sorted(set(places))


def table_calls(spec: ChainSpec, seconds: float) -> float:
    """Say what tables cost, in renders of the whole chain of so many seconds."""
    counts = [
        1 + sum(len(places_of(spec, control, 0.5)) for control in range(part.start, part.stop)) for part in spec.slices
    ]
    return float(spec.shares @ counts) * IMPULSE_S / seconds


def table_job(spec: ChainSpec, anchor: np.ndarray, sample_rate: int, seconds: float) -> CallJob:
    """Make the job that measures the tables at a setting."""
    cost = table_calls(spec, seconds) * spec.cost_s(seconds, sample_rate)
    return CallJob(function=measure_tables, args=(spec, anchor, sample_rate), spec=spec, cost=cost)
