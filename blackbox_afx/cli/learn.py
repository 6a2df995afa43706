"""`afx learn`: point at plugins and recordings, get their style controller."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from blackbox_afx.cli.checks import Whole, check_audio, check_is_file, check_minutes, check_run
from blackbox_afx.cli.console import emit_json, example, note, progress, say, warn
from blackbox_afx.cli.run_options import DEFAULTS, RunOptions
from blackbox_afx.errors import UsageError

if TYPE_CHECKING:
    from blackbox_afx.train.learned import Learned

START_S = 0.5
"""What starting Python and ending its processes takes, roughly."""


@example(
    """
$ afx learn zam_eq2 zam_comp --audio recordings/ --where type=speech --minutes 20 --out voice.safetensors
ZamEQ2 > ZamComp: 17 controls
learning: 43 % pairs: 41280 training pairs
...
held out: STFT 0.49 MSD 0.47 SCE 0.30 RMS 0.21 LUFS 0.25 of the input's error (128 pairs, audio)
  the stage 'warm start' was improved upon: STFT 0.49 MSD 0.48 SCE 0.31 RMS 0.21 LUFS 0.25 of the input's error
wrote voice.safetensors
next: afx transfer INPUT REFERENCE --controller voice.safetensors --out OUT.wav
""",
    takes="PLUGIN...",
)
def learn(
    *plugins: Annotated[str, Parameter(name="PLUGIN")],
    audio: Path,
    out: Path,
    where: str | None = None,
    controls: str | None = None,
    preset: Path | None = None,
    minutes: float | None = None,
    method: str | None = None,
    proxy: Annotated[list[str] | None, Parameter(negative="")] = None,
    examples: Whole | None = None,
    recipe: str | None = None,
    options: RunOptions = DEFAULTS,
) -> None:
    """Learn a style controller for plugins from a folder of audio.

    Parameters
    ----------
    plugins
        One or several, in the order that audio goes through them: a shipped profile, a profile.toml, a path, an LV2
        URI, or builtin:Compressor.
    audio
        A folder of recordings; a MANIFEST.csv's splits train and val are honoured.
    out
        The controller file to write; OUT.run beside it keeps checkpoints while the run goes on.
    where
        Keep recordings whose manifest columns have these values, such as type=speech.
    controls
        Which controls to set: names or patterns, separated by commas, or auto:24 for those that move the sound most.
    preset
        A .vstpreset with the values of all that is not controlled (a single plugin only).
    minutes
        Wall-clock budget; 20 by default, 0.2 at the least.
    method
        One of `afx list methods`.
    proxy
        For np, np_hh and np_fh: a proxy's name or folder, one a plugin, in order; by default those of
        `afx list proxies` that fit.
    examples
        Examples that the audio stage learns from, whatever the machine; --minutes is then only a limit.
    recipe
        A recipe's name or file.
    """
    began = time.monotonic()
    from blackbox_afx import shelf
    from blackbox_afx.train.methods import find_method

    options.check()
    check_minutes(minutes)
    if method is not None:
        find_method(method)
    if examples is not None and examples < 1:
        raise UsageError(f"--examples is {examples}; expected 1 or more")
    for name in proxy or ():
        shelf.find("proxies", name)
    from blackbox_afx.train.recipe import Recipe, change_recipe
    from blackbox_afx.train.recipes import read_recipe

    chosen = read_recipe(shelf.find("train", recipe)) if recipe else Recipe()
    if not isinstance(chosen, Recipe):
        raise UsageError(f"{recipe} is a proxy's recipe; expected a controller's; see `afx train`")
    run_learning(
        change_recipe(chosen, method=method, proxies=tuple(proxy) if proxy else None, examples=examples),
        list(plugins) or list(chosen.plugins),
        options,
        audio=audio,
        out=out,
        where=where,
        controls=controls,
        preset=preset,
        minutes=minutes,
        began=began,
    )


def run_learning(
    recipe: Any,
    tokens: list[str],
    options: RunOptions,
    *,
    audio: Path,
    out: Path,
    where: str | None,
    minutes: float | None,
    began: float,
    controls: str | None = None,
    preset: Path | None = None,
) -> None:
    """Learn what a controller's recipe says, with progress; also behind `afx train`."""
    from blackbox_afx.plugins.chain import ChainSpec
    from blackbox_afx.plugins.resolve import resolve_plugin

    options.check()
    check_minutes(minutes)
    check_minutes(recipe.minutes if minutes is None else None, "the recipe's minutes")
    check_audio(audio, where)
    check_run(out, resume=options.resume, force=options.force)
    if not tokens:
        raise UsageError("no PLUGIN was given; expected at least one, for example zam_eq2 or builtin:Compressor")
    if preset is not None and len(tokens) > 1:
        raise UsageError("--preset goes with a single plugin; put base_preset into the profiles of a chain instead")
    check_is_file(preset, "a .vstpreset, or a saved state of the plugin")
    profiles = [
        resolve_plugin(token, controls=controls, preset=preset, allow_version=options.allow_version, note=note)
        for token in tokens
    ]
    spec = ChainSpec(profiles=tuple(profiles))
    if not options.as_json:
        say(f"{spec.label}: {len(spec.space)} controls")
    from blackbox_afx.train.learn import learn as run

    try:
        with progress("learning", total=1.0) as meter:
            learned = run(
                profiles,
                audio,
                out=out,
                where=where,
                minutes=minutes or recipe.minutes,
                recipe=recipe,
                seed=options.seed,
                jobs=options.jobs,
                device=options.device,
                resume=options.resume,
                force=options.force,
                report=lambda stage, share, words: meter.update(share, f"{stage}: {words}"),
                warn=warn,
                # Importing torch takes seconds, which are the user's as well.
                spent_s=time.monotonic() - began + START_S,
            )
    except KeyboardInterrupt:
        note(f"the run is kept in {out}.run; the same command with --resume goes on with it")
        raise
    tell(learned, as_json=options.as_json)


def tell(learned: Learned, *, as_json: bool) -> None:
    """Say what a run came to."""
    for stage in learned.cut:
        warn(f"the deadline cut the stage '{stage}' short; the same budget on a quieter machine goes further")
    for stage in learned.late:
        if stage not in learned.cut:
            warn(f"the stage '{stage}' ran late and was hurried; such a run does not repeat exactly")
    if learned.chosen in learned.scores and learned.scores[learned.chosen].total >= 1.0:
        warn("on held-out pairs the controller is no better than leaving the input as it is; give more --minutes")
    if as_json:
        emit_json({"path": learned.path, "seconds": learned.seconds, "card": learned.card})
        return
    if learned.chosen in learned.scores:
        scores = learned.scores[learned.chosen]
        say(f"held out: {scores.text()} ({scores.pairs} pairs, {learned.chosen})")
    # Only a stage after the chosen one can have made it worse.
    what = "was improved upon" if learned.chosen in learned.scores else "was rolled back"
    for name, scores in learned.scores.items():
        if name == learned.chosen:
            what = "was rolled back"
        else:
            say(f"  the stage '{name}' {what}: {scores.text()}")
    note(f"wrote {learned.path} after {learned.seconds:.0f} s")
    note(f"next: afx transfer INPUT REFERENCE --controller {learned.path} --out OUT.wav")
