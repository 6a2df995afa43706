"""One of pedalboard's own effects, or several in a row, ready to render.

The engine is the one VST3 plugins have (`blocks.through_blocks`); only effects that can't be fed in pieces differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import pedalboard

from blackbox_afx.errors import PluginError
from blackbox_afx.plugins.blocks import check_output, render_whole, stream_pieces, through_blocks
from blackbox_afx.plugins.builtins import WHOLE, build_effects, builtin_controls, builtin_latency, stages
from blackbox_afx.plugins.parameters import check_table
from blackbox_afx.plugins.profile import Profile

SMALLEST_BLOCK = 4
"""pedalboard guesses which axis is channels, and can't for 2 x 2 samples."""


class BuiltinInstance:
    """One of pedalboard's own effects, or several in a row as one: an `Instance`.

    Effects are made anew for each render, which takes microseconds. Controls in Hz are kept below 0.495 of the sample
    rate, above which the filters are not defined.
    """

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self._controls = builtin_controls(profile.identity.plugin_name)
        check_table(profile, [control.name for control in self._controls])
        self._whole = any(stage.effect in WHOLE for stage in stages(profile.identity.plugin_name))
        self._board: pedalboard.Pedalboard | None = pedalboard.Pedalboard(
            build_effects(profile.identity.plugin_name)[0]
        )

    def _run(
        self, pieces: Iterable[np.ndarray], rows: np.ndarray | None, sample_rate: int, block_size: int
    ) -> Iterator[np.ndarray]:
        if self._board is None:
            raise PluginError(f"{self.profile.label} is closed; load it again")
        effects, places = build_effects(self.profile.identity.plugin_name)
        board = self._board = pedalboard.Pedalboard(effects)
        active = [(control, places[control.index]) for control in self.profile.active]
        for control in self.profile.held:
            places[control.index].write(self.profile, float(control.value or 0.0), sample_rate)
        shown: np.ndarray | None = None

        def apply(row: np.ndarray) -> None:
            nonlocal shown
            for k, (control, place) in enumerate(active):
                if shown is None or row[k] != shown[k]:
                    place.write(self.profile, float(control.plain_from_raw(row[k])), sample_rate)
            shown = row

        def process(audio: np.ndarray) -> np.ndarray:
            out = board.process(audio, sample_rate, buffer_size=block_size, reset=self._whole)
            return check_output(out, self.profile, shown)

        if self._whole:
            return self._run_whole(pieces, rows, apply, process)
        return through_blocks(pieces, rows, block_size, apply, process, sample_rate)

    def _run_whole(
        self,
        pieces: Iterable[np.ndarray],
        rows: np.ndarray | None,
        apply: Callable[[np.ndarray], None],
        process: Callable[[np.ndarray], np.ndarray],
    ) -> Iterator[np.ndarray]:
        """Render in one call, for effects that can't be fed in pieces; streams are gathered first."""
        gathered = list(pieces)
        if rows is not None:
            apply(rows[0])
        if gathered:
            audio = np.concatenate(gathered, axis=1)
            # An hour of stereo is more than a gigabyte.
            gathered.clear()
            yield process(audio)

    def render(
        self, audio: np.ndarray, values: np.ndarray | None, sample_rate: int, *, block_size: int | None = None
    ) -> np.ndarray:
        """Render audio; see `Instance`. `values` None leaves the effect's own defaults."""
        return render_whole(self._run, self.profile, audio, values, sample_rate, block_size, SMALLEST_BLOCK)

    def stream(
        self,
        blocks: Iterable[np.ndarray],
        values: np.ndarray | None,
        sample_rate: int,
        *,
        block_size: int | None = None,
    ) -> Iterator[np.ndarray]:
        """Render audio that comes in pieces; see `Instance`. Equal to `render` bit for bit."""
        return stream_pieces(self._run, self.profile, blocks, values, sample_rate, block_size, SMALLEST_BLOCK)

    def latency(self, sample_rate: int) -> int:
        """Samples that come out later than they go in, measured: pedalboard tells none for its own effects."""
        return builtin_latency(self.profile.identity.plugin_name, sample_rate, self.profile.channels or 1)

    def state(self) -> None:
        """Return None: built-ins have no state beyond their controls."""

    def close(self) -> None:
        """Let the effect go."""
        self._board = None
