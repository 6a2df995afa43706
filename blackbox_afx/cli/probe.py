"""`afx probe`: examine one plugin and write its profile."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
from cyclopts import Parameter

from blackbox_afx.cli.checks import Whole, check_is_file, check_making
from blackbox_afx.cli.console import emit_json, example, note, progress, say, table, warn
from blackbox_afx.errors import OutputError, UsageError

if TYPE_CHECKING:
    from blackbox_afx.plugins.report import ProbeReport

STAGES = 9


@example("""
$ afx probe /usr/lib/vst3/ZamComp.vst3 --out mine/zam_comp/profile.toml
ZamComp 4.1.0 (vst3), mono, latency 0, 0.4 ms a second, loads in 2 ms
renders repeat exactly after a reset
CONTROL    RANGE            SCALE   MOVES
Attack     0.1 to 100 ms    log     -14 dB
Threshold  -80 to 0 dB      linear  -15 dB
...
wrote mine/zam_comp/profile.toml
$ afx probe big.vst3 --controls "auto:24" --preset vocals.vstpreset --out big.toml
$ afx probe ZamComp.vst3 --json | jq '.controls[].name'
""")
def probe(
    plugin: str,
    /,
    *,
    out: Path | None = None,
    name: str | None = None,
    controls: str | None = None,
    preset: Path | None = None,
    sample_rate: Whole = 24000,
    bases: Whole = 20,
    timeout: float = 60.0,
    force: Annotated[bool, Parameter(negative="")] = False,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> None:
    """Examine one plugin, in a process that it may crash, and write its profile.

    Parameters
    ----------
    plugin
        A path, path::Plugin Name, an LV2 URI, or builtin:Compressor.
    out
        Where to write the profile: a .toml, or a folder for profile.toml. Without it nothing is written.
    name
        Which plugin of a bundle.
    controls
        Which controls to use: names and patterns such as 'Threshold, Freq*', or auto:24 for those that move the
        sound most.
    preset
        A .vstpreset or saved state for all that is not controlled.
    sample_rate
        Hertz.
    bases
        Random settings around which each control is moved.
    timeout
        Seconds for the whole examination.
    force
        Replace a profile that is there.
    as_json
        Print what was found as JSON.
    """
    from blackbox_afx.plugins.probe import for_folder
    from blackbox_afx.plugins.probe import probe as examine
    from blackbox_afx.plugins.profile import save_profile
    from blackbox_afx.plugins.report import report_json
    from blackbox_afx.plugins.select import select_controls

    _check(sample_rate, bases, timeout)
    target = None
    if out is not None:
        target = out if out.suffix == ".toml" else out / "profile.toml"
        if target.exists() and not force:
            raise OutputError(f"{target} exists; give --force to replace it, or another name")
        check_making(target)
    check_is_file(preset, "a .vstpreset, or a saved state of the plugin")
    with progress(f"probing {plugin}", total=STAGES) as meter:
        report = examine(
            plugin,
            name=name,
            sample_rate=sample_rate,
            bases=bases,
            timeout_s=timeout,
            preset=preset,
            on_stage=lambda text: meter.advance(text=text),
        )
    profile = report.profile
    if controls is not None:
        profile = select_controls(profile, controls, moves=report.effects)
        report = msgspec.structs.replace(report, profile=profile)
    for text in report.warnings:
        warn(text)
    if not profile.active:
        warn(f"{profile.label} has no control to set, so nothing can be learned on it")
    if as_json:
        emit_json(report_json(report))
    else:
        _show(report)
    if target is not None:
        written = save_profile(for_folder(profile, target.parent), target, force=force)
        (note if as_json else say)(f"wrote {written}")


def _check(sample_rate: int, bases: int, timeout: float) -> None:
    for option, value, least, most in (
        ("--sample-rate", sample_rate, 8000, 384000),
        ("--bases", bases, 1, 1000),
        ("--timeout", timeout, 1, 3600),
    ):
        if not least <= value <= most:
            raise UsageError(f"{option} {value:g}: expected {least} to {most}")


def _show(report: ProbeReport) -> None:
    """Print a report for people."""
    profile, identity = report.profile, report.profile.identity
    layout = {0: "mono or stereo", 1: "mono", 2: "stereo"}[profile.channels]
    version = f" {identity.version}" if identity.version else ""
    say(
        f"{profile.label}{version} ({identity.format}), {layout}, latency {profile.latency}, "
        f"{profile.cost_ms:.2g} ms a second, loads in {profile.load_ms:.2g} ms"
    )
    how = {"reset": "after a reset", "reinstantiate": "after reinstantiation", "fresh": "in a fresh instance"}
    exact = "exactly" if profile.repeatability == 0 else f"to {profile.repeatability:.2g} of the peak"
    say(f"renders repeat {exact} {how[profile.reset]}")
    if profile.tail_s:
        say(f"rings on for {profile.tail_s:.2g} s")
    effects = report.effects
    rows = []
    for control in profile.controls:
        unit = f" {control.unit}" if control.unit else ""
        kind = "toggle" if control.steps == 1 else f"{control.steps + 1} choices" if control.steps else control.scale
        moved = effects.get(control.index, -120.0)
        state = "" if control.use else "not used" if control.automatable else "static, not used"
        shown = f"{control.minimum:g} to {control.maximum:g}{unit}"
        rows.append([control.name, shown, kind, f"{moved:.0f} dB" if moved > -120 else "never", state])
    if rows:
        table(["CONTROL", "RANGE", "SCALE", "MOVES", ""], rows)
    if profile.meters:
        say("never set: " + ", ".join(f"{meter.name} ({meter.why})" for meter in profile.meters))
