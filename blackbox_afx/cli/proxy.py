"""Train networks that imitate plugins, and say how good they are."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter

from blackbox_afx import shelf
from blackbox_afx.cli.checks import Whole, check_audio, check_minutes, check_run
from blackbox_afx.cli.console import emit_json, example, note, progress, say, warn
from blackbox_afx.cli.run_options import DEFAULTS, RunOptions, check_seed_and_jobs
from blackbox_afx.errors import OutputError, UsageError

app = App(name="proxy")
"""Train and check."""

Flag = Parameter(negative="")
START_S = 0.5


@app.command
@example("""
$ afx proxy train zam_comp --audio recordings/ --where type=speech --minutes 10 --out proxies/zam_comp
ZamComp: 6 controls
proxy: 43 % proxy: step 1290 of 3000, loss 2.113, best held-out error 0.214 of the input's
...
error STFT 0.19 waveform 0.20 of the input's (-8.9 dB); gradient cosine 0.95 (least 0.56), ...
wrote proxies/zam_comp/weights.safetensors
""")
def train(
    plugin: Annotated[str, Parameter(name="PLUGIN")],
    /,
    *,
    audio: Path,
    out: Path,
    where: str | None = None,
    controls: str | None = None,
    minutes: float | None = None,
    examples: Whole | None = None,
    controller: str | None = None,
    options: RunOptions = DEFAULTS,
) -> None:
    """Train a proxy of one plugin: a network that imitates it, so that gradients can pass through.

    Parameters
    ----------
    plugin
        The plugin, as `afx learn` takes it; or a recipe that names one: a name from `afx list train`, or a file.
    audio
        A folder of recordings; a MANIFEST.csv's splits train and val are honoured.
    out
        The folder to write: weights.safetensors, recipe.toml and CARD.md.
    where
        Keep recordings whose manifest columns have these values, such as type=speech.
    controls
        Which controls it has: names or patterns, separated by commas; all that the profile uses by default.
    minutes
        Wall-clock budget; the recipe's by default, which is 10 where none is given; 0.2 at the least.
    examples
        Stop after so many rendered patches.
    controller
        A controller of this plugin, whose settings half of the patches are near.
    """
    began = time.monotonic()
    options.check()
    check_minutes(minutes)
    if examples is not None and examples < 1:
        raise UsageError(f"--examples is {examples}; expected 1 or more")
    if controller:
        shelf.find("controllers", controller)
    check_audio(audio, where)
    from blackbox_afx.train.proxy_recipe import ProxyRecipe
    from blackbox_afx.train.recipe import change_recipe
    from blackbox_afx.train.recipes import read_recipe

    found = _recipe_called(plugin)
    recipe = read_recipe(found) if found is not None else ProxyRecipe(plugin=plugin)
    if not isinstance(recipe, ProxyRecipe):
        raise UsageError(f"{plugin} is a controller's recipe; expected a plugin, or a proxy's recipe; see `afx train`")
    recipe = change_recipe(recipe, controls=controls, examples=examples, controller=controller)
    run_training(
        recipe,
        options,
        audio=audio,
        out=out,
        where=where,
        minutes=minutes,
        began=began,
    )


def run_training(
    recipe: Any,
    options: RunOptions,
    *,
    audio: Path,
    out: Path,
    where: str | None,
    minutes: float | None,
    began: float,
) -> None:
    """Train what a proxy's recipe says, with progress; also behind `afx train`."""
    from blackbox_afx.plugins.resolve import resolve_plugin

    options.check()
    check_minutes(minutes)
    check_minutes(recipe.minutes if minutes is None else None, "the recipe's minutes")
    check_audio(audio, where)
    check_run(out / "weights.safetensors", resume=options.resume, force=options.force)
    if not recipe.plugin:
        raise UsageError('the recipe names no plugin; expected one: plugin = "zam_comp", or --set plugin=zam_comp')
    profile = resolve_plugin(
        recipe.plugin, controls=recipe.controls or None, allow_version=options.allow_version, note=note
    )
    if not options.as_json:
        say(f"{profile.label}: {len(profile.active)} controls")
    from blackbox_afx.train.proxy_card import scores_text
    from blackbox_afx.train.proxy_train import train_proxy

    try:
        with progress("proxy", total=1.0) as meter:
            trained = train_proxy(
                profile,
                audio,
                out=out,
                where=where,
                minutes=minutes,
                recipe=recipe,
                seed=options.seed,
                jobs=options.jobs,
                device=options.device,
                resume=options.resume,
                force=options.force,
                report=lambda stage, share, words: meter.update(share, f"{stage}: {words}"),
                warn=warn,
                spent_s=time.monotonic() - began + START_S,
            )
    except KeyboardInterrupt:
        note(f"the run is kept in {out / 'weights.safetensors.run'}; the same command with --resume goes on with it")
        raise
    for stage in trained.cut:
        warn(f"the deadline cut the stage '{stage}' short; the same budget on a quieter machine goes further")
    if options.as_json:
        emit_json({"folder": trained.folder, "seconds": trained.seconds, "scores": trained.scores})
        return
    say(scores_text(trained.scores))
    for name in ("weights.safetensors", "recipe.toml", "CARD.md"):
        note(f"wrote {trained.folder / name}")


@app.command
@example("""
$ afx proxy check zam_comp --audio recordings/ --where type=speech --patches 64
error STFT 0.19 waveform 0.20 of the input's (-8.9 dB); gradient cosine 0.95 (least 0.56), ...
control    low   middle  high  cosine  sign
Attack     0.13  0.16    0.25  0.56    1.00
...
""")
def check(
    proxy: Annotated[str, Parameter(name="PROXY")],
    /,
    *,
    audio: Path,
    where: str | None = None,
    split: Literal["train", "val", "test"] = "test",
    patches: Whole = 64,
    seed: Whole = 0,
    jobs: Whole | None = None,
    card: Annotated[bool, Flag] = False,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> None:
    """Compare a proxy with its plugin: error, where it is wrong, and whether its gradient can be trusted.

    Parameters
    ----------
    proxy
        A name from `afx list proxies`, its folder, or its file.
    audio
        A folder of recordings; of one with a MANIFEST.csv one split, of any other all.
    where
        Keep recordings whose manifest columns have these values, such as type=speech.
    split
        Which split of a manifest is heard.
    patches
        How many to compare; gradients are compared on the first 24.
    seed
        Decides patches and settings.
    jobs
        Render workers.
    card
        Write the result into the proxy's CARD.md.
    as_json
        Print the scores as JSON.
    """
    import sys

    from blackbox_afx.cli.console import table

    if patches < 1:
        raise UsageError(f"--patches is {patches}; expected 1 or more")
    check_seed_and_jobs(seed, jobs)
    check_audio(audio, where)
    shelf.find("proxies", proxy)

    from blackbox_afx.data import find_audio, load_clips
    from blackbox_afx.plugins.farm import Farm
    from blackbox_afx.proxies.proxy_file import load_proxy
    from blackbox_afx.train.proxy_card import check_card, scores_text
    from blackbox_afx.train.proxy_check import measure_proxy
    from blackbox_afx.train.recipes import spec_of_proxy

    network, about = load_proxy(proxy)
    spec = spec_of_proxy(about)
    with progress("check", total=2) as meter:
        meter.update(0, "reading recordings")
        collection = find_audio(audio, where=where, purpose="benchmark", split=split, seed=seed)
        clips = load_clips(collection, split, sample_rate=about.sample_rate, max_minutes=60.0, seed=seed)
        meter.update(1, f"{patches} patches")
        with Farm(jobs) as farm:
            scores = measure_proxy(network, spec, farm, clips, patches=patches, seed=seed)
    if card:
        from blackbox_afx.benchmark.report import command_line

        folder = shelf.find("proxies", proxy).parent
        place = folder / "CARD.md"
        text = check_card(folder.name, about, scores, command_line(sys.argv[1:]))
        try:
            # Whose recordings it learned from was written by hand, and licences want it kept.
            old = place.read_text(encoding="utf-8").splitlines() if place.exists() else []
            heard = "".join(f"\n{line}" for line in old if line.startswith("- heard:"))
            text = text.replace("\n\nTrained by", f"{heard}\n\nTrained by", 1)
            place.write_text(text, encoding="utf-8")
        except OSError as error:
            raise OutputError(f"{place}: can't be written ({error.strerror}); copy the proxy first") from None
        note(f"wrote {place}")
    if as_json:
        emit_json(scores)
        return
    say(scores_text(scores))
    rows = [
        [row.name, *(f"{e:.2f}" for e in row.error), f"{row.cosine:.2f}", f"{row.sign:.2f}"] for row in scores.controls
    ]
    table(["control", "low", "middle", "high", "cosine", "sign"], rows)


def _recipe_called(token: str) -> Path | None:
    """Find the recipe of that name; None where it names a plugin."""
    path = Path(token)
    if path.name == "recipe.toml" and path.is_file():
        return path
    if (path / "recipe.toml").is_file():
        return path / "recipe.toml"
    names = {item.name: item.path for item in shelf.items("train")}
    return names.get(token)
