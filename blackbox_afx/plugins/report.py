"""What a probe found, beyond the profile itself."""

from __future__ import annotations

from typing import Any

import msgspec

from blackbox_afx.plugins.control import Control
from blackbox_afx.plugins.profile import Meter, Profile


class Move(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Say how much one control moves the sound.

    Parameters
    ----------
    index : int
        As in the profile.
    name : str
    effect_db : float
        Level of the change relative to the sound, dB; -120 where nothing ever moved.
    bases : int
        Random settings around which it was moved.
    """

    index: int
    name: str
    effect_db: float
    bases: int


class ProbeReport(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Hold a probe's findings.

    Parameters
    ----------
    profile : Profile
        To be saved and edited.
    moves : tuple of Move
    layouts : tuple of int
        Channel counts that the plugin renders.
    policies : dict of str to float
        Reset policies that were tried and how far repeated renders were apart under each, as a share of the peak.
    blocks : dict of str to float
        How far renders at other block sizes are from those at the profile's.
    output_gains : tuple of str
        Controls that scale the whole output exactly.
    failed : float
        Share of random settings that gave no finite sound.
    first_load_ms : float
        The first load in a process, which may be far slower than later ones.
    nan : str
        What one NaN in the input does: ``stays`` (output is clean again in the same render), ``spreads`` (until a
        reset), ``sticks`` (even after a reset), ``crashes``, or ``not tested``.
    out_of_range : str
        What raw values outside 0 to 1 do: ``clamped``, ``acts``, ``breaks`` (no finite sound), ``crashes``, or
        ``not tested``.
    categories : str
        As the plugin files itself.
    seconds : float
        What the probe took.
    warnings : tuple of str
        What a user should know.
    """

    profile: Profile
    moves: tuple[Move, ...] = ()
    layouts: tuple[int, ...] = ()
    policies: dict[str, float] = {}
    blocks: dict[str, float] = {}
    output_gains: tuple[str, ...] = ()
    failed: float = 0.0
    first_load_ms: float = 0.0
    nan: str = "not tested"
    out_of_range: str = "not tested"
    categories: str = ""
    seconds: float = 0.0
    warnings: tuple[str, ...] = ()

    @property
    def effects(self) -> dict[int, float]:
        """Effect of each control in dB, by index."""
        return {move.index: move.effect_db for move in self.moves}


def report_json(report: ProbeReport) -> dict[str, Any]:
    """Lay a report out as ``afx probe --json`` prints it.

    Returns
    -------
    dict
        ``controls`` are those that may be automated, ``static`` those that may only be set.
    """
    profile, identity = report.profile, report.profile.identity
    return {
        "format": identity.format,
        "name": profile.label,
        "profile": profile.name,
        "class_id": identity.class_id,
        "version": identity.version,
        "vendor": identity.vendor,
        "file": identity.file,
        "uri": identity.uri,
        "sha256": identity.sha256,
        "table_hash": identity.table_hash,
        "categories": report.categories,
        "controls": [control_row(control) for control in profile.controls if control.automatable],
        "static": [control_row(control) for control in profile.controls if not control.automatable],
        "meters": [meter_row(meter) for meter in profile.meters],
        "channels": profile.channels,
        "layouts": list(report.layouts),
        "latency": profile.latency,
        "tail_s": profile.tail_s,
        "load_ms": profile.load_ms,
        "first_load_ms": report.first_load_ms,
        "cost_ms": profile.cost_ms,
        "probe_rate": profile.probe_rate,
        "block_size": profile.block_size,
        "reset": profile.reset,
        "repeatability": profile.repeatability,
        "policies": report.policies,
        "block_sensitivity": report.blocks,
        "dynamics": profile.dynamics,
        "output_gain": profile.output_gain,
        "output_gains": list(report.output_gains),
        "stereo_twin": profile.stereo_twin,
        "mono_twin": profile.mono_twin,
        "nan": report.nan,
        "out_of_range": report.out_of_range,
        "failed": report.failed,
        "moves": [msgspec.to_builtins(move) for move in report.moves],
        "seconds": report.seconds,
        "warnings": list(report.warnings),
    }


def control_row(control: Control) -> dict[str, Any]:
    """Lay a control out for JSON."""
    return {
        "index": control.index,
        "param_id": control.param_id,
        "name": control.name,
        "symbol": control.symbol,
        "unit": control.unit,
        "automatable": control.automatable,
        "steps": control.steps,
        "default": control.default,
        "minimum": control.minimum,
        "maximum": control.maximum,
        "scale": control.scale,
        "use": control.use,
        "value": control.value,
        "texts": list(control.texts),
    }


def meter_row(meter: Meter) -> dict[str, Any]:
    """Lay a meter out for JSON."""
    return {"index": meter.index, "param_id": meter.param_id, "name": meter.name, "why": meter.why}
