"""Match a recording to a reference with any plugin: no controller, no training, a search on the plugin itself."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from blackbox_afx.errors import ControllerError, PluginError, ProfileError, UsageError
from blackbox_afx.plugins.chain import ChainSpec
from blackbox_afx.plugins.profile import Profile
from blackbox_afx.plugins.resolve import check_installed, resolve_plugin
from blackbox_afx.transfer.listen import Heard, listen
from blackbox_afx.transfer.refine import RATE, Refinement
from blackbox_afx.transfer.request import check_files
from blackbox_afx.transfer.result import TransferResult
from blackbox_afx.transfer.static import companion, transfer

PEAK_DBFS = -12.0
"""Peak that inputs are brought to, as controllers are learned at: thresholds have room both ways."""
SEGMENT_S = 2.73
"""Seconds of the stretches whose peaks count."""

Place = str | os.PathLike[str]


class Matcher:
    """Stand where a controller would: begin with the plugins' defaults, and leave the rest to the search.

    Parameters
    ----------
    spec : ChainSpec

    Raises
    ------
    UsageError
        The chain has no control to set.
    """

    card = None
    origin = ()
    trim_level = f"a peak of {PEAK_DBFS:g} dBFS"

    def __init__(self, spec: ChainSpec) -> None:
        if not len(spec.space):
            raise UsageError(
                f"{spec.label} has no control to set; expected one, for example by use = true in a profile"
            )
        self.spec = spec

    def check_installed(self, *, allow_version: bool = False) -> list[str]:
        """Check that the plugins are the ones their profiles were made of, as a controller does."""
        try:
            return [text for one in self.spec.profiles for text in check_installed(one, allow_version=allow_version)]
        except (PluginError, ProfileError) as error:
            raise ControllerError(str(error)) from None

    def hear(self, path: Place) -> Heard:
        """Listen to a file."""
        return listen(Path(path), RATE, round(SEGMENT_S * RATE))

    def trim_db(self, heard: Heard) -> float:
        """Gain that brings an input to `PEAK_DBFS`, dB."""
        return PEAK_DBFS - heard.peak_dbfs

    def predict(self, source: Heard, references: Sequence[Heard], amount: float = 1.0) -> np.ndarray:
        """Give the plugins' defaults, float64 [controls]."""
        return self.spec.space.snap(self.spec.space.defaults)


def match(
    source: Place,
    references: Place | Sequence[Place],
    plugins: str | Path | Profile | Sequence[str | Path | Profile],
    *,
    out: Place,
    refinement: Refinement | None = None,
    controls: str | Sequence[str] | None = None,
    allow_version: bool = False,
    note: Callable[[str], None] | None = None,
    **options: Any,
) -> TransferResult:
    """Set plugins so that a recording comes near the style of a reference, and render it through them.

    Parameters
    ----------
    source : path
        Input recording: any rate, mono or stereo, a second to hours.
    references : path, or sequence of path
        Recordings in the wanted style; several count as one style.
    plugins : str, path or Profile, or a sequence of them
        As `resolve_plugin` takes them, in the order that audio goes through them; one without a profile is probed.
    out : path
        Audio to write; `NAME.controls.json`, `NAME.session.json` and a `.vstpreset` for each VST3 come beside it.
    refinement : Refinement, optional
        How to search; 80 renders by default.
    controls : str or sequence of str, optional
        A selection as `select_controls` takes it.
    allow_version : bool
        Use another version of a plugin than its profile's.
    note : callable, optional
        Told of a probe that is under way.
    **options
        ``amount``, ``tail``, ``plot``, ``force``, ``progress``, ``refining``, as for `transfer`.

    Returns
    -------
    TransferResult

    Raises
    ------
    AudioError, OutputError, PluginError, ProfileError, ShelfError, UsageError
        Nothing is left half-written.

    Examples
    --------
    >>> import blackbox_afx
    >>> made = blackbox_afx.match("take.wav", "song.wav", ["zam_eq2", "zam_comp"], out="out.wav")  # doctest: +SKIP
    """
    many = [references] if isinstance(references, str | os.PathLike) else list(references)
    tokens = [plugins] if isinstance(plugins, str | Path | Profile) else list(plugins)
    if not tokens:
        raise UsageError("no PLUGIN was given; expected at least one, for example zam_eq2 or builtin:Compressor")
    out, plot = Path(out), options.get("plot")
    places = [out, companion(out, ".controls.json"), companion(out, ".session.json"), *([Path(plot)] if plot else [])]
    # A probe takes up to a minute: what is wrong with the files should be said before.
    check_files(Path(source), [Path(path) for path in many], places, force=options.get("force", False))
    profiles = tuple(
        token
        if isinstance(token, Profile)
        else resolve_plugin(token, controls=controls, allow_version=allow_version, note=note)
        for token in tokens
    )
    return transfer(
        Matcher(ChainSpec(profiles=profiles)),
        source,
        many,
        out=out,
        refinement=refinement or Refinement(),
        allow_version=allow_version,
        **options,
    )
