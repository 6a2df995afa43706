"""Make the shipped profiles of the Zam plugins: probe what is installed, then narrow it by the table below.

Run it from the checkout with Debian's zam-plugins installed::

    python scripts/make_profiles.py            # all
    python scripts/make_profiles.py zam_comp   # some

On the same binaries all comes out the same but for the two timings (`load_ms`, `cost_ms`) and ZamTube's `reset` and
`repeatability`: that plugin differs from one instance to the next, and in some runs by luck does not.
"""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from blackbox_afx.errors import UsageError, nearest
from blackbox_afx.plugins.control import Control, Scale
from blackbox_afx.plugins.probe import probe, probe_again
from blackbox_afx.plugins.profile import Profile, check_profile, save_profile
from blackbox_afx.shelf import shipped

Range = tuple[float, float, Scale]


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """Say how a plugin's profile is narrowed.

    Parameters
    ----------
    file : str
        Bare name of the plugin.
    used : dict of name to (minimum, maximum, scale)
        Plain values.
    held : dict of name to float
        Plain values that are never changed.
    notes : str
    """

    file: str
    used: dict[str, Range]
    held: dict[str, float] = {}
    notes: str = ""


GAIN: Range = (-20, 20, "linear")
WIDTH: Range = (0.2, 5, "log")
COMPRESSOR: dict[str, Range] = {
    "Attack": (0.1, 100, "log"),
    "Release": (5, 500, "log"),
    "Knee": (0, 8, "linear"),
    "Ratio": (1, 20, "log"),
    "Threshold": (-60, 0, "linear"),
    "Makeup": (0, 30, "linear"),
}
KNOB: Range = (0, 10, "linear")
BANDS = (
    *(32, 40, 50, 63, 79, 100, 126, 158, 200, 251, 316, 398, 501, 631, 794, 999),
    *(1257, 1584, 1997, 2514, 3165, 3986, 5017, 6318, 7963, 10032),
)

RECIPES = {
    "zam_eq2": Recipe(
        file="ZamEQ2.vst3",
        used={
            "Boost/Cut 1": GAIN,
            "Bandwidth 1": WIDTH,
            "Frequency 1": (100, 4000, "log"),
            "Boost/Cut 2": GAIN,
            "Bandwidth 2": WIDTH,
            "Frequency 2": (1000, 10000, "log"),
            "Boost/Cut L": GAIN,
            "Frequency L": (30, 400, "log"),
            "Boost/Cut H": GAIN,
            "Frequency H": (3000, 11000, "log"),
            "Master Gain": (-12, 12, "linear"),
        },
        held={"Peaks ON": 0},
        notes="Frequencies stay below half of 24 kHz, beyond which the filters break.",
    ),
    "zam_comp": Recipe(file="ZamComp.vst3", used=COMPRESSOR, held={"Slew": 1, "Sidechain": 0}),
    "zam_compx2": Recipe(
        file="ZamCompX2.vst3", used=COMPRESSOR, held={"Slew": 1, "Sidechain": 0, "Stereo Detection": 0}
    ),
    "zam_geq31": Recipe(
        file="ZamGEQ31.vst3",
        used={f"{band}Hz": (-12, 12, "linear") for band in BANDS},
        held={"Master Gain": 0, "12662Hz": 0, "16081Hz": 0, "20801Hz": 0},
        notes="The three highest bands do nothing at 24 kHz and are held flat.",
    ),
    "zam_tube": Recipe(
        file="ZamTube.vst3",
        used={
            "Tube Drive": (0.1, 11, "linear"),
            "Bass": KNOB,
            "Mids": KNOB,
            "Treble": KNOB,
            "Input level": (-20, 20, "linear"),
        },
        held={"Tone Stack Model": 0, "Insane Boost": 0},
    ),
    "zam_delay": Recipe(
        file="ZamDelay.vst3",
        used={
            "Time": (20, 800, "log"),
            "LPF": (500, 12000, "log"),
            "Output Gain": (-12, 0, "linear"),
            "Dry/Wet": (0, 1, "linear"),
            "Feedback": (0, 0.8, "linear"),
        },
        held={"Invert": 0, "Sync BPM": 0, "Divisor": 3},
        notes="Feedback of 1 never decays, so it ends at 0.8.",
    ),
}


def narrow(profile: Profile, name: str, recipe: Recipe) -> Profile:
    """Apply a recipe to what a probe found.

    Raises
    ------
    UsageError
        The recipe and the plugin do not name the same controls.
    """
    known = {control.name for control in profile.controls}
    planned = {*recipe.used, *recipe.held}
    for odd in sorted(planned ^ known):
        raise UsageError(
            f"{name}: control '{odd}' is in the {'recipe' if odd in planned else 'plugin'} only; "
            f"{nearest(odd, [*known])}"
        )

    def narrowed(control: Control) -> Control:
        if control.name in recipe.held:
            return msgspec.structs.replace(control, use=False, value=float(recipe.held[control.name]))
        low, high, scale = recipe.used[control.name]
        return msgspec.structs.replace(control, use=True, minimum=float(low), maximum=float(high), scale=scale)

    return check_profile(
        msgspec.structs.replace(
            profile,
            name=name,
            controls=tuple(narrowed(control) for control in profile.controls),
            notes=recipe.notes,
        )
    )


def make(name: str, folder: Path) -> Path:
    """Probe one plugin, narrow it, measure it again within its ranges and write the profile."""
    recipe = RECIPES[name]
    report = probe_again(narrow(probe(recipe.file, bases=2).profile, name, recipe), timeout_s=120)
    profile = report.profile
    for text in report.warnings:
        print(f"{name}: {text}", file=sys.stderr)
    weak = [move.name for move in report.moves if move.effect_db < -60]
    print(
        f"{name}: {len(profile.active)} controls, {profile.reset}, repeats to {profile.repeatability:g}, "
        f"tail {profile.tail_s:g} s, {profile.cost_ms:.2g} ms a second"
        + (f"; hardly heard: {', '.join(weak)}" if weak else "")
    )
    return save_profile(profile, folder / name / "profile.toml", force=True)


def main() -> None:
    """Make the profiles that the command line names, or all."""
    names = sys.argv[1:] or list(RECIPES)
    for name in names:
        if name not in RECIPES:
            raise SystemExit(f"no recipe is called '{name}'; {nearest(name, list(RECIPES))}")
        print("wrote", make(name, shipped() / "plugins"))


if __name__ == "__main__":
    main()
