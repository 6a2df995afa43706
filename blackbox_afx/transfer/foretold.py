"""What the linear part of a chain will make of a recording at settings that were never rendered.

A quiet impulse through one plugin alone says how it raises and lowers each band, at a few percent of a render's cost.
Measured at the setting at hand, the *anchor*, and with each control turned, one after the other, to a few places
between its ends, that gives a table for each control: how many dB it adds in each band, wherever it is turned. The
tables are added up. For gains, and for bands that don't meet, that is exact over the whole travel; where controls
depend on one another it holds near the anchor. What compressors, gates and distortions do depends on level, which no
impulse tells: a control that does something else to a loud impulse than to a quiet one has a flat table, and what it
does has to be learned from renders.

Conventions: P controls, B bands, positions 0 to 1. Impulses are mono and the first channel of what comes out is heard:
of controls of one side of a stereo plugin the tables say too much or nothing, and renders put that right.
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
LOUDER_DB = 48.0
"""How much louder than the quiet impulse the loud one is: -12 dBFS."""
SHUT_DB, LEAST_DB = -80.0, 0.25
"""A response below the first lets nothing through; changes below the second, in the mean over bands, are none."""
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

    A plugin that lets no impulse through there, as a gate that is shut, has flat tables, and so has a control whose
    effect on a loud impulse is another than on a quiet one.

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

    chain, quiet = worker.chain(spec), impulse(round(IMPULSE_S * sample_rate))[None]
    loud = quiet * np.float32(10 ** (LOUDER_DB / 20))

    def respond(plugin: int, point: np.ndarray, dry: np.ndarray) -> np.ndarray:
        wet = chain.render_one(plugin, dry, point, sample_rate)
        if flaw := audio_flaw(wet):
            raise PluginError(f"{spec.labels[plugin]}, an impulse: {flaw}")
        return response_db(wet[0], sample_rate)

    fine = np.linspace(0.0, 1.0, CELLS + 1)
    tables = np.zeros((len(anchor), CELLS + 1, BANDS), np.float32)
    places = places_of(spec, anchor)
    for plugin, controls in enumerate(spec.slices):
        here = respond(plugin, anchor, quiet)
        if np.median(here) < SHUT_DB:
            continue
        louder = respond(plugin, anchor, loud)
        for control in range(controls.start, controls.stop):
            point, rows = anchor.copy(), {float(anchor[control]): np.zeros(BANDS)}
            for place in places[control]:
                point[control] = place
                there = respond(plugin, point, quiet)
                if np.median(there) >= SHUT_DB:
                    rows[place] = there - here
            # Where a control does most, a loud impulse says whether it does so at any level.
            most = max(rows, key=lambda place: float(np.abs(rows[place]).mean()))
            moved = float(np.abs(rows[most]).mean())
            if moved < LEAST_DB:
                continue
            point[control] = most
            apart = np.abs(respond(plugin, point, loud) - louder - rows[most]).mean()
            if apart > LEAST_DB + 0.25 * moved:
                continue
            ordered = sorted(rows)
            curve = PchipInterpolator(ordered, np.stack([rows[place] for place in ordered]))
            tables[control] = curve(np.clip(fine, ordered[0], ordered[-1]))
    return tables


def places_of(spec: ChainSpec, anchor: np.ndarray) -> list[list[float]]:
    """Give the positions that each control is turned to beside where it is."""
    space = spec.space
    continuous, defaults = space.continuous, space.defaults
    choices = np.where(continuous, PLACES, np.round(1.0 / np.maximum(space.resolution, 1e-9)).astype(int) + 1)
    counts = np.where(choices <= MOST_CHOICES, choices, PLACES)
    found: list[list[float]] = [[] for _ in defaults]
    for count in np.unique(counts):
        members = np.flatnonzero(counts == count)
        points = np.tile(defaults, (count, 1))
        points[:, members] = np.linspace(0.0, 1.0, count)[:, None]
        snapped = space.snap(points)
        for control in members:
            near = NEAR if continuous[control] else 1e-9
            found[control] = sorted({float(x) for x in snapped[:, control] if abs(x - anchor[control]) > near})
    return found


def impulses_of(spec: ChainSpec) -> np.ndarray:
    """Say how many impulses each plugin gets at the most, int64 [plugins]."""
    space = spec.space
    counts = [len(places) + 1 for places in places_of(spec, np.full(len(space), -1.0))]
    return np.array([2 + sum(counts[part]) for part in spec.slices])


def table_calls(spec: ChainSpec, seconds: float) -> float:
    """Say what tables cost at the most, in renders of the whole chain of so many seconds, by the samples rendered."""
    return float(spec.shares @ impulses_of(spec)) * IMPULSE_S / seconds


def table_job(spec: ChainSpec, anchor: np.ndarray, sample_rate: int, seconds: float) -> CallJob:
    """Make the job that measures the tables at a setting."""
    # A plugin may have to be loaded anew for each impulse: what is counted as a hang has to be longer than that.
    loads = sum(count * profile.load_ms / 1e3 for count, profile in zip(impulses_of(spec), spec.profiles, strict=True))
    cost = table_calls(spec, seconds) * spec.cost_s(seconds, sample_rate) + loads
    return CallJob(function=measure_tables, args=(spec, anchor, sample_rate), spec=spec, cost=cost)
