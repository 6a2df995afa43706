"""What a transfer made: the files, the settings, and how to word them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from blackbox_afx.transfer.controls_file import controls_text

if TYPE_CHECKING:
    from blackbox_afx.transfer.automate import Automation
    from blackbox_afx.transfer.refine import Refined


class TransferResult(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what a transfer made.

    Parameters
    ----------
    audio : Path
        The rendered file.
    controls_file : Path
        `NAME.controls.json`.
    presets : tuple of Path
        A `.vstpreset` for each VST3.
    session_file : Path or None
        `NAME.session.json`, which `afx export` reads; None where a network made the audio and no plugin.
    positions : float64 [controls]
        At the start, where lanes move them.
    plugins : list of dict
        As `describe_controls`; a control with a lane carries ``automated``: its number of points.
    trim_db : float
        Gain applied before the first plugin, dB.
    output_peak_dbfs : float
    clipped : int
        Samples beyond full scale.
    record : dict
        What `NAME.controls.json` holds.
    warnings : tuple of str
    plot : Path or None
        The before/after picture.
    automation : Automation or None
        Where lanes were asked for.
    refined : Refined or None
        Where a search on the plugin was asked for.
    trim_level : str
        The level that the input was brought to, in words.
    """

    audio: Path
    controls_file: Path
    session_file: Path | None
    presets: tuple[Path, ...]
    positions: np.ndarray
    plugins: list[dict[str, Any]]
    trim_db: float
    output_peak_dbfs: float
    clipped: int
    record: dict[str, Any]
    warnings: tuple[str, ...]
    plot: Path | None = None
    automation: Automation | None = None
    refined: Refined | None = None
    trim_level: str = "the level the controller was learned at"

    @property
    def text(self) -> str:
        """The controls in words."""
        return controls_text(self.plugins)

    @property
    def automation_text(self) -> str:
        """What moves, in words; empty where no lanes were asked for."""
        made = self.automation
        if made is None:
            return ""
        if not made.moved and len(made.sections) > 1:
            return (
                f"none of {len(made.sections)} sections comes clearly nearer to the reference by a setting of its own: "
                "nothing moves"
            )
        if not made.moved:
            return "level and tone stay alike from beginning to end: nothing moves"
        many = len(made.sections)
        points, before = made.lanes.points_after, made.lanes.points_before
        error = self.record["automation"]["thinning_error_db"]
        heard = "" if error is None else f", {error:.0f} dB of the sound"
        return (
            f"{len(made.moved)} controls move over {many} sections, smoothed by {made.smoothing.seconds:g} s; "
            f"{points} of {before} points kept{heard}"
        )

    @property
    def trim_text(self) -> str:
        """What was done to the input's level, in words."""
        way = "up" if self.trim_db > 0 else "down"
        return f"the input was brought {way} by {abs(self.trim_db):.1f} dB to {self.trim_level}"
