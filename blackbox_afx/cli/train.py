"""`afx train`: one command trains what a recipe says."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from blackbox_afx import shelf
from blackbox_afx.cli.checks import check_audio, check_minutes
from blackbox_afx.cli.console import example
from blackbox_afx.cli.run_options import DEFAULTS, RunOptions
from blackbox_afx.errors import UsageError


@example("""
$ afx train small_spsa --set minutes=30 --audio recordings/ --where type=speech --out spsa.safetensors
ChannelStrip: 23 controls
learning: 43 % audio: step 120 of 280, loss 3.204, best score 0.871
...
held out: STFT 0.66 MSD 0.58 SCE 0.47 RMS 0.31 LUFS 0.32 of the input's error (64 pairs, audio)
wrote spsa.safetensors
$ afx train small_proxy --set plugin=zam_comp --audio recordings/ --out proxies/zam_comp
""")
def train(
    recipe: Annotated[str, Parameter(name="RECIPE")],
    /,
    *,
    audio: Path,
    out: Path,
    change: Annotated[list[str] | None, Parameter(name="--set", negative="")] = None,
    where: str | None = None,
    minutes: float | None = None,
    options: RunOptions = DEFAULTS,
) -> None:
    """Train what a recipe says: a controller, or a proxy.

    Parameters
    ----------
    recipe
        A name from `afx list train`, a recipe.toml, or its folder.
    audio
        A folder of recordings; a MANIFEST.csv's splits train and val are honoured.
    out
        What to write: a controller file, or a proxy's folder.
    change
        key=value: another value for one field of the recipe; may be given several times.
    where
        Keep recordings whose manifest columns have these values, such as type=speech.
    minutes
        Wall-clock budget; the recipe's by default, 0.2 at the least.
    """
    began = time.monotonic()
    options.check()
    check_minutes(minutes)
    check_audio(audio, where)
    from blackbox_afx.train.proxy_recipe import ProxyRecipe
    from blackbox_afx.train.recipes import read_recipe

    chosen = read_recipe(shelf.find("train", recipe), change or [])
    common = {"audio": audio, "out": out, "where": where, "minutes": minutes, "began": began}
    if isinstance(chosen, ProxyRecipe):
        from blackbox_afx.cli.proxy import run_training

        run_training(chosen, options, **common)
        return
    from blackbox_afx.cli.learn import run_learning
    from blackbox_afx.train.methods import find_method

    find_method(chosen.method)
    if not chosen.plugins:
        raise UsageError(f"the recipe {recipe} names no plugins; give some: --set 'plugins=[\"zam_comp\"]'")
    run_learning(chosen, list(chosen.plugins), options, **common)
