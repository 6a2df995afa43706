"""`afx demo`: the main job in a few minutes, on shipped clips and built-in effects; needs no plugin."""

from __future__ import annotations

import importlib.util
import shutil
import time
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from blackbox_afx.cli.checks import Whole, check_minutes
from blackbox_afx.cli.console import example, note, progress, say, warn
from blackbox_afx.cli.run_options import check_seed_and_jobs
from blackbox_afx.errors import OutputError

INPUT, REFERENCE = "test/louis.flac", "reference/radio.flac"
PROFILE = "channel_strip"
MARK = ".afx-demo"
MADE = {
    *(MARK, "demo.safetensors", "demo.safetensors.run", "score.json", "after.session.json"),
    *("before.flac", "reference.flac", "after.flac", "after.controls.json", "after.controls.txt", "before-after.png"),
}
"""All that a demo leaves; nothing else is ever removed."""
PAIRS = 24
HELD_OUT = 16

NEXT = """
Now on your own plugins:
  afx scan                                   what is installed here, and what it makes of being loaded
  afx probe /path/to/Plugin.vst3             audit one plugin and write its profile
  afx learn /path/to/Plugin.vst3 --audio FOLDER --minutes 20 --out mine.safetensors
  afx transfer INPUT.wav REFERENCE.wav --controller mine.safetensors --out styled.wav
"""


@example("""
$ afx demo --minutes 2
learning a controller for channel_strip: 23 controls of built-in effects
...
on 24 pairs of voices it never heard: STFT 0.41 MSD 0.38 ... of the input's error
in afx-demo: before.flac reference.flac after.flac after.controls.json after.controls.txt before-after.png
""")
def demo(
    *,
    minutes: float = 2.0,
    out: Path = Path("afx-demo"),
    seed: Whole = 0,
    jobs: Whole | None = None,
    force: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Learn a controller for a built-in channel strip, score it, and transfer a voice to a radio sound.

    Parameters
    ----------
    minutes
        Budget for learning; 0.2 at the least.
    out
        Folder for what it makes; what an earlier demo made there is replaced.
    seed
        Decides everything that is drawn.
    jobs
        Render workers; as many as there are cores by default.
    force
        Write into a folder that holds other files, too; of those, only what has a name that the demo needs is lost.
    """
    check_minutes(minutes)
    check_seed_and_jobs(seed, jobs)
    began = time.monotonic()
    _clear(out, force)
    from blackbox_afx import shelf
    from blackbox_afx.plugins.resolve import resolve_plugin
    from blackbox_afx.train.learn import learn
    from blackbox_afx.train.recipe import Recipe

    audio = shelf.demo_audio()
    profile = resolve_plugin(PROFILE)
    say(f"learning a controller for {profile.name}: {len(profile.active)} controls of built-in effects")
    controller = out / "demo.safetensors"
    with progress("learning", total=1.0) as meter:
        learned = learn(
            [profile],
            audio,
            out=controller,
            where="type=speech",
            minutes=minutes,
            recipe=Recipe(method="regression", held_out=HELD_OUT),
            seed=seed,
            jobs=jobs,
            force=True,
            report=lambda stage, share, words: meter.update(share, f"{stage}: {words}"),
            warn=warn,
            spent_s=time.monotonic() - began,
        )
    for stage in learned.cut:
        warn(f"the deadline cut the stage '{stage}' short; more --minutes, or a quieter machine, go further")
    say(f"learned in {learned.seconds:.0f} s")
    _score(controller, audio, seed, jobs)
    _transfer(controller, audio, out)
    names = sorted(path.name for path in out.iterdir() if not path.name.startswith("."))
    say(f"in {out}: {' '.join(names)}")
    note(NEXT)


def _clear(out: Path, force: bool) -> None:
    """Make the folder and remove what an earlier demo left in it; other files stay, and are refused without force."""
    if out.exists() and not out.is_dir():
        raise OutputError(f"{out} is a file; give --out another name")
    try:
        found = sorted(path.name for path in out.iterdir()) if out.is_dir() else []
        foreign = [name for name in found if name not in MADE]
        unmarked = bool(found) and MARK not in found
        if (foreign or unmarked) and not force:
            raise OutputError(
                f"{out} holds files that no demo made, such as {(foreign or found)[0]}; give --out another folder, or "
                "--force to write among them"
            )
        for name in found:
            path = out / name
            if name in MADE and path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif name in MADE:
                path.unlink()
        out.mkdir(parents=True, exist_ok=True)
        (out / MARK).touch()
    except OSError as error:
        raise OutputError(f"{out}: can't be made ({error.strerror}); give --out a folder you may write to") from None


def _score(controller: Path, audio: Path, seed: int, jobs: int | None) -> None:
    """Score on the voices of the test split, and keep the figures."""
    from blackbox_afx.benchmark.report import HEADINGS
    from blackbox_afx.benchmark.run import run_protocols
    from blackbox_afx.transfer.staging import publish_text

    with progress("scoring", total=1) as meter:
        report: dict[str, Any] = run_protocols(
            ["self"],
            audio=audio,
            where="type=speech",
            controllers=[controller],
            baselines=[],
            pairs=PAIRS,
            seed=seed,
            segment=None,
            pesq=False,
            jobs=jobs,
            allow_version=False,
            command="afx demo",
            warn=warn,
            progress=lambda done, total, text: meter.update(done, text, total),
        )[0]
    ratio = next(iter(report["ratio"].values()))
    words = " ".join(f"{HEADINGS[name].split()[0]} {ratio[name]:.2f}" for name in HEADINGS if name in ratio)
    say(f"on {report['pairs']} pairs of voices it never heard: {words} of the input's error")
    publish_text({controller.with_name("score.json"): report}, force=False)


def _transfer(controller: Path, audio: Path, out: Path) -> None:
    """Transfer the shipped recording to the shipped reference, and draw it."""
    from blackbox_afx.transfer.staging import publish_text
    from blackbox_afx.transfer.style_controller import StyleController

    before, reference, after = out / "before.flac", out / "reference.flac", out / "after.flac"
    shutil.copyfile(audio / INPUT, before)
    shutil.copyfile(audio / REFERENCE, reference)
    plot = out / "before-after.png" if importlib.util.find_spec("matplotlib") else None
    if plot is None:
        note("matplotlib is not installed, so no picture is drawn; pip install 'blackbox-afx[plot]'")
    result = StyleController.load(controller).transfer(before, [reference], out=after, plot=plot)
    publish_text({out / "after.controls.txt": result.text + "\n"}, force=False)
    say(result.text)
    say(result.trim_text)
