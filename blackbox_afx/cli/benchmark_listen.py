"""A page to listen to pairs and what each method made of them."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from blackbox_afx import shelf
from blackbox_afx.cli.checks import Whole, check_audio
from blackbox_afx.cli.console import example, note, progress, warn
from blackbox_afx.cli.reports import check_numbers
from blackbox_afx.errors import OutputError, UsageError

Flag = Parameter(negative="")
Several = Parameter(consume_multiple=True, negative="")


@example("""
$ afx benchmark listen --audio recordings/ --where type=speech --controller voice.safetensors --out page
wrote page/index.html: 6 pairs, 24 recordings, 4.1 MB
""")
def listen(
    *,
    audio: Path,
    controller: Annotated[list[str], Several],
    out: Path,
    where: str | None = None,
    protocol: Literal["self", "paper"] = "self",
    baseline: Annotated[list[Literal["rb-dsp", "matchering", "defaults", "random"]] | None, Several] = None,
    on_plugins: Annotated[bool, Parameter(negative="")] = False,
    pairs: Whole = 6,
    seed: Whole = 42,
    sample_rate: Whole | None = None,
    allow_version: Annotated[bool, Flag] = False,
    jobs: Whole | None = None,
    force: Annotated[bool, Flag] = False,
) -> None:
    """Write a page with input, reference, target and each method's result, to play and with their scores.

    A folder with index.html and FLAC files; it needs no server and loads nothing from elsewhere.

    Parameters
    ----------
    audio
        A folder of recordings. Of one with a MANIFEST.csv, or of a corpus, the split test is used, of any other all.
    controller
        Files that `afx learn` made, or names that `afx list controllers` shows.
    out
        The folder to write.
    where
        Keep recordings whose columns have these values, such as type=speech,source=a|b.
    protocol
        self: a random setting of the controllers' own chain makes the target. paper: other effects do.
    baseline
        Also let rb-dsp, matchering, the plugins' default settings or random ones be heard.
    on_plugins
        Let controllers that were learned for the audio of a proxy or of an autodiff effect (methods np and ad) be
        heard through the plugins, too; np then is NP-HH.
    pairs
        How many; the speakers take turns.
    seed
        Decides every pair.
    sample_rate
        Hertz that the plugins render at; by default the rate the controllers were learned at.
    allow_version
        Use plugins of another version than a controller was learned on.
    jobs
        Worker processes; by default as many as there are cores.
    force
        Replace a page that is there.
    """
    from blackbox_afx.transfer.staging import staging

    if not 1 <= pairs <= 200:
        raise UsageError(f"--pairs {pairs}; expected 1 to 200")
    check_numbers(sample_rate=sample_rate, jobs=jobs, seed=seed)
    check_audio(audio, where)
    _check_folder(out, force)
    paths = [Path(shelf.find("controllers", item)) for item in controller]
    with staging(out) as stage, progress("benchmark", total=pairs) as meter:
        from blackbox_afx.benchmark.listen import make_listening_page
        from blackbox_afx.benchmark.report import command_line

        folder = stage / "page"
        folder.mkdir()
        facts = make_listening_page(
            folder,
            audio=audio,
            controllers=paths,
            where=where,
            protocol=protocol,
            baselines=baseline or (),
            on_plugins=on_plugins,
            pairs=pairs,
            seed=seed,
            sample_rate=sample_rate,
            jobs=jobs,
            allow_version=allow_version,
            command=command_line(sys.argv[1:]),
            warn=warn,
            progress=lambda done, total, text: meter.update(done, text, total),
        )
        sizes = [file.stat().st_size for file in folder.rglob("*") if file.is_file()]
        _check_folder(out, force)
        if out.exists():
            shutil.rmtree(out)
        os.replace(folder, out)
    files = sum(len(pair["files"]) for pair in facts["pairs"])
    note(f"wrote {out / 'index.html'}: {len(facts['pairs'])} pairs, {files} recordings, {sum(sizes) / 1e6:.1f} MB")


def _check_folder(out: Path, force: bool) -> None:
    """Raise where something is in the way: only a page that this command wrote is ever replaced."""
    if not os.path.lexists(out):
        return
    if out.is_dir() and not any(out.iterdir()):
        return
    if not (out / "listen.json").is_file() or not (out / "index.html").is_file():
        raise OutputError(f"{out} is there and is no page of this command; expected a new folder; give another name")
    if not force:
        raise OutputError(f"{out} exists; give --force to replace it, or another name")
