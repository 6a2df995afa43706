"""Transfer with a controller whose effect is a network of its own (cTCN): there is no plugin, so nothing to export."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from blackbox_afx.audio import AudioWriter, StreamingResampler, info, peak_dbfs, stream
from blackbox_afx.errors import UsageError
from blackbox_afx.transfer.controls_file import json_bytes
from blackbox_afx.transfer.request import check_files, lost_ends
from blackbox_afx.transfer.staging import publish, staging

if TYPE_CHECKING:
    from blackbox_afx.transfer.result import TransferResult
    from blackbox_afx.transfer.style_controller import StyleController

BLOCK = 1 << 16


def transfer_through_network(
    controller: StyleController,
    source: Path,
    references: Sequence[Path],
    *,
    out: Path,
    force: bool = False,
    progress: Callable[[str], None] = lambda doing: None,
) -> TransferResult:
    """Render a recording through the network that learned along with the controller.

    Parameters
    ----------
    controller : StyleController
        With an effect of its own.
    source : Path
    references : sequence of Path
    out : Path
        Audio to write; `NAME.controls.json` comes beside it, no preset and no session.
    force : bool
    progress : callable

    Returns
    -------
    TransferResult
        Without plugins.

    Raises
    ------
    AudioError, OutputError, UsageError
    """
    from blackbox_afx.transfer.result import TransferResult
    from blackbox_afx.transfer.static import companion, staged_content

    controls_file = companion(out, ".controls.json")
    about = check_files(source, references, [out, controls_file], force=force)
    rate = controller.card.sample_rate
    with staging(out) as stage:
        progress("listening")
        heard = controller.hear(source)
        positions = controller.latent(heard, [controller.hear(path) for path in references])
        trim_db = controller.trim_db(heard)
        warnings = [
            *lost_ends([source, *references]),
            f"rendered by the network at {rate} Hz, each channel by itself: nothing above {rate // 2} Hz remains",
        ]
        progress("rendering")
        made = render_stream(controller.own_effect, positions, source, stage / out.name, trim_db, rate)
        if made["clipped"]:
            warnings.append(f"{made['clipped']} samples went over full scale (peak {made['peak_dbfs']:+.1f} dBFS)")
        record = {
            "schema": 1,
            "renderer": "network",
            "input": str(source),
            "references": [str(path) for path in references],
            "output": out.name,
            "sample_rate": about.sample_rate,
            "channels": about.channels,
            "subtype": made["subtype"],
            "trim_db": trim_db,
            "output_peak_dbfs": made["peak_dbfs"],
            "clipped_samples": made["clipped"],
            "plugins": [],
            "warnings": warnings,
        }
        staged_content(stage, controls_file, json_bytes(record))
        publish({stage / out.name: out, stage / controls_file.name: controls_file})
    return TransferResult(
        audio=out,
        controls_file=controls_file,
        session_file=None,
        presets=(),
        positions=positions,
        plugins=[],
        trim_db=trim_db,
        output_peak_dbfs=made["peak_dbfs"],
        clipped=made["clipped"],
        record=record,
        warnings=tuple(warnings),
    )


def render_stream(
    effect: torch.nn.Module, positions: np.ndarray, source: Path, out: Path, trim_db: float, rate: int
) -> dict[str, Any]:
    """Render a file through a causal network in bounded memory.

    Parameters
    ----------
    effect : nn.Module
        With `receptive_field`: so many samples of the past make a block's output what the whole file's would be.
    positions : float64 [controls]
    source, out : Path
    trim_db : float
        Gain before the network, dB.
    rate : int
        Hertz that the network works at.

    Returns
    -------
    dict
        ``peak_dbfs``, ``clipped``, ``subtype``.
    """
    about = info(source)
    memory = int(effect.receptive_field) - 1  # pyrefly: ignore[bad-argument-type]
    at = torch.as_tensor(positions, dtype=torch.float32)[None]
    past = np.zeros((about.channels, 0), np.float32)
    gain = np.float32(10 ** (trim_db / 20))

    def blocks() -> Iterator[np.ndarray]:
        nonlocal past
        down = StreamingResampler(about.sample_rate, rate, about.channels)
        up = StreamingResampler(rate, about.sample_rate, about.channels)

        def through(block: np.ndarray) -> np.ndarray:
            nonlocal past
            whole = np.concatenate([past, block], axis=1)
            with torch.no_grad():
                made = effect(torch.from_numpy(whole)[None], at)[0].numpy()[:, past.shape[1] :]
            past = whole[:, max(whole.shape[1] - memory, 0) :]
            return made

        for block in stream(source, BLOCK):
            ready = down.process(np.asarray(block * gain, np.float32))
            if ready.shape[1]:
                yield up.process(through(ready))
        # At equal rates a resampler owes nothing.
        if about.sample_rate != rate:
            owed = down.finish()
            yield up.process(through(owed)) if owed.shape[1] else owed
            yield up.finish()

    peak, written = -np.inf, 0
    with AudioWriter(out, about.sample_rate, about.channels, like=about) as writer:
        for block in blocks():
            block = block[:, : about.frames - written]
            if block.shape[1]:
                peak = max(peak, peak_dbfs(block))
                writer.write(np.ascontiguousarray(block))
                written += block.shape[1]
        if written < about.frames:
            writer.write(np.zeros((about.channels, about.frames - written), np.float32))
    return {"peak_dbfs": float(peak), "clipped": writer.clipped, "subtype": writer.subtype}


def refuse_what_needs_controls(*, amount: float, automate: bool, refine: bool, tail: bool, plot: bool) -> None:
    """Refuse the options that only mean something to a plugin's controls.

    Raises
    ------
    UsageError
    """
    wrong = {"--automate": automate, "--refine": refine, "--amount": amount != 1.0, "--tail": tail, "--plot": plot}
    for option, given in wrong.items():
        if given:
            raise UsageError(
                f"{option} needs a plugin's controls; this controller's effect is a network of its own (cTCN), whose "
                "positions stand for no control; leave it out"
            )
