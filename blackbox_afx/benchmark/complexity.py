"""What methods cost: a training step in its parts, rendering against real time, and extra parameters (Table 5).

A step is timed as training does it: the encoder hears input and reference, the controller sets the effect, the effect
renders a batch, the loss compares, and the gradient goes back through all of them. Every effect is really called, with
both halves of its work (the paper's own table left the effect out of some rows).

Conventions: seconds of wall clock, the median of the repeats; contenders take turns, so that whatever else the machine
does falls on all of them. White noise of -12 dBFS peak, as the cost does not depend on the sound.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np
import torch
from torch import Tensor, nn

from blackbox_afx.benchmark.report import draw_table, versions
from blackbox_afx.dsp import autodiff_effect
from blackbox_afx.errors import AfxError, UsageError, nearest
from blackbox_afx.losses.style import StyleLoss
from blackbox_afx.networks.style import StyleNetwork, make_style_network
from blackbox_afx.plugins.chain import ChainSpec
from blackbox_afx.plugins.farm import Farm
from blackbox_afx.train.effect import FarmEffect
from blackbox_afx.train.effects import Context, make_effect
from blackbox_afx.train.methods import find_method
from blackbox_afx.transfer.rule_based import RuleBased

PARTS = ("encoder", "effect", "loss", "backward_loss", "backward_effect", "backward_encoder", "update")
"""Parts of a step, in the order they happen; "encoder" is with the controller."""
WARM_UPS = 1
REAL_TIME_S = 10.0


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """What all contenders have in common.

    Parameters
    ----------
    spec : ChainSpec
        The chain that is controlled.
    sample_rate : int
        Hz.
    farm : Farm
        Renders for methods that ask the plugins.
    device : torch.device
    """

    spec: ChainSpec
    sample_rate: int
    farm: Farm
    device: torch.device


class Contender(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the table.

    Parameters
    ----------
    effect : nn.Module or None
        ``(audio [batch, channels, samples], positions [batch, controls]) -> audio``, as training uses it; None for a
        method that is not trained.
    render : callable
        ``(audio float32 [samples]) -> audio float32 [samples]``: what a transfer does on the CPU once the controls are
        known.
    by_plugins : bool
        The plugins render; what else the effect consists of is needed in training alone.
    """

    effect: nn.Module | None
    render: Callable[[np.ndarray], np.ndarray]
    by_plugins: bool = False

    @property
    def parameters(self) -> int:
        """Parameters that a transfer needs beyond those of encoder and controller."""
        if self.effect is None or self.by_plugins:
            return 0
        return sum(part.numel() for part in self.effect.parameters())


def module_contender(effect: nn.Module, setting: Setting) -> Contender:
    """Make a contender of an effect that is a torch module, in training as in use."""
    here = effect.to(setting.device)
    middle = torch.full((1, len(setting.spec.space)), 0.5)

    def render(audio: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return here.to("cpu")(torch.from_numpy(audio)[None, None], middle)[0, 0].numpy()

    return Contender(effect=here, render=render)


def _autodiff_paper(setting: Setting) -> Contender:
    effect = autodiff_effect(setting.spec, setting.sample_rate, filtering="sampled", smoothing="one_pole")
    return module_contender(effect, setting)


def _of_method(name: str) -> Callable[[Setting], Contender]:
    """Make a contender of the effect module that a method trains through; TCNs in the paper's size."""

    def make(setting: Setting) -> Contender:
        method, spec = find_method(name), setting.spec
        options: dict[str, Any] = {}
        if method.effect == "tcn":
            controls = len(spec.space)
            options = {"size": "paper", "stages": None}
            if method.stages != 1 and len(spec.profiles) == 1 and controls > 3:
                # One plugin: four fifths to the first TCN, as the paper's equaliser has of all its controls.
                options["stages"] = [controls - controls // 4, controls // 4]
        box: Any = FarmEffect(setting.farm, spec, setting.sample_rate)
        effect = make_effect(
            Context(spec=spec, sample_rate=setting.sample_rate, method=method, box=box, options=options)
        )
        if method.renders_itself:
            return module_contender(effect, setting)
        return Contender(effect=effect.to(setting.device), render=_by_plugins(setting), by_plugins=True)

    return make


def _by_plugins(setting: Setting) -> Callable[[np.ndarray], np.ndarray]:
    chain, space = setting.spec.open(), setting.spec.space
    middle = space.snap(np.full(len(space), 0.5))
    return lambda audio: chain.render(audio[None], middle, setting.sample_rate)[0]


def _rule_based(setting: Setting) -> Contender:
    reference = _noise(1, round(REAL_TIME_S * setting.sample_rate), seed=1)[0].cumsum()
    reference = (reference - reference.mean()).astype(np.float32)
    return Contender(effect=None, render=lambda audio: RuleBased().process(audio, reference, setting.sample_rate))


CONTENDERS: dict[str, Callable[[Setting], Contender]] = {
    "autodiff": _of_method("ad"),
    "autodiff_paper": _autodiff_paper,
    "spsa": _of_method("spsa"),
    "orthogonal": _of_method("orthogonal"),
    "np": _of_method("np"),
    "np_fh": _of_method("np_fh"),
    "ctcn1": _of_method("ctcn1"),
    "ctcn2": _of_method("ctcn2"),
    "rb-dsp": _rule_based,
}
"""Rows of the table by name."""


def _noise(batch: int, samples: int, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).uniform(-1, 1, (batch, samples)).astype(np.float32)
    return noise * np.float32(10 ** (-12 / 20))


def time_step(
    network: StyleNetwork,
    effect: nn.Module,
    loss: nn.Module,
    batch: dict[str, Tensor],
    optimiser: torch.optim.Optimizer,
) -> tuple[dict[str, float], Tensor]:
    """Do one training step, and time its parts.

    Parameters
    ----------
    network : StyleNetwork
    effect : nn.Module
    loss : nn.Module
    batch : dict
        ``source`` and ``reference`` as the encoder hears them, ``input`` and ``target`` [batch, 1, samples].
    optimiser : torch.optim.Optimizer
        Of the network.

    Returns
    -------
    dict of part to seconds
        See `PARTS`.
    Tensor [batch, 1, samples]
        What the effect made.
    """
    times: dict[str, float] = {}
    device = batch["input"].device

    def timed(part: str, function: Callable[[], Any]) -> Any:
        if device.type == "cuda":
            torch.cuda.synchronize()
        began = time.perf_counter()
        made = function()
        if device.type == "cuda":
            torch.cuda.synchronize()
        times[part] = time.perf_counter() - began
        return made

    optimiser.zero_grad(set_to_none=True)
    positions = timed("encoder", lambda: network(batch["source"], batch["reference"]))
    # Cut into leaves, so that each part's backward can be timed apart; together they are the usual backward.
    set_to = positions.detach().requires_grad_()
    audio = timed("effect", lambda: effect(batch["input"], set_to))
    heard = audio.detach().requires_grad_()
    error = timed("loss", lambda: loss(heard, batch["target"]))
    timed("backward_loss", error.backward)
    timed("backward_effect", lambda: audio.backward(heard.grad))
    timed("backward_encoder", lambda: positions.backward(set_to.grad))
    timed("update", optimiser.step)
    return times, audio.detach()


def measure(
    spec: ChainSpec,
    *,
    methods: Sequence[str] | None = None,
    encoder: str = "efficientnet_b2",
    batch: int = 4,
    segment: int = 131072,
    sample_rate: int = 24000,
    repeats: int = 5,
    threads: int | None = None,
    jobs: int | None = None,
    device: str = "cpu",
    command: str = "",
    warn: Callable[[str], None] = lambda text: None,
    progress: Callable[[int, int, str], None] = lambda done, total, text: None,
) -> dict[str, Any]:
    """Time training steps and renders of several methods on one chain.

    Parameters
    ----------
    spec : ChainSpec
    methods : sequence of str, optional
        Keys of `CONTENDERS`; all by default, without those that the chain does not suit.
    encoder : str
        Name in `blackbox_afx.networks.encoders.ENCODERS`.
    batch, segment : int
        Examples of a step, and samples of each.
    sample_rate : int
        Hz.
    repeats : int
        Timed steps and renders of each method, after one that is not counted.
    threads : int, optional
        That torch computes with; as it chooses by default.
    jobs : int, optional
        Render workers.
    device : str
        Where encoder, loss and torch effects run; plugins and real-time factors are on the CPU in any case.
    command : str
        What the report says it was made by.
    warn : callable
        Told which methods were left out, in a line each.
    progress : callable
        Told (done, all, what).

    Returns
    -------
    dict
        As the JSON file holds it.

    Raises
    ------
    UsageError
        For an unknown method or a device that is not there, or where an effect returned its input untouched.
    """
    for name in methods or ():
        if name not in CONTENDERS:
            raise UsageError(f"no method is called '{name}'; {nearest(name, list(CONTENDERS))}")
    if torch.device(device).type == "cuda" and not torch.cuda.is_available():
        raise UsageError(f"device '{device}' is not there; use cpu")
    if threads:
        torch.set_num_threads(threads)
    torch.manual_seed(0)
    network = make_style_network(controls=len(spec.space), encoder=encoder, controller="paper").to(device)
    network.train()
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-4)
    loss = StyleLoss()
    sounds = _noise(4 * batch, segment, seed=0).reshape(4, batch, segment)
    heard = [torch.from_numpy(np.stack([network.prepare(row, sample_rate) for row in part])) for part in sounds[:2]]
    example = {
        "source": heard[0].to(device),
        "reference": heard[1].to(device),
        "input": torch.from_numpy(sounds[2])[:, None].to(device),
        "target": torch.from_numpy(sounds[3])[:, None].to(device),
    }
    mono = _noise(1, round(REAL_TIME_S * sample_rate), seed=2)[0]
    steps: dict[str, list[dict[str, float]]] = {}
    renders: dict[str, list[float]] = {}
    probes: dict[str, int] = {}
    with Farm(jobs) as farm:
        setting = Setting(spec=spec, sample_rate=sample_rate, farm=farm, device=torch.device(device))
        contenders = _assemble(methods, setting, warn)
        total = len(contenders) * (repeats + WARM_UPS)
        for turn in range(repeats + WARM_UPS):
            for number, (name, contender) in enumerate(contenders.items()):
                progress(turn * len(contenders) + number, total, name)
                if contender.effect is not None:
                    calls = getattr(contender.effect, "calls", 0)
                    times, audio = time_step(network, contender.effect.to(device), loss, example, optimiser)
                    if torch.equal(audio, example["input"]):
                        raise UsageError(f"{name} returned its input untouched; expected an effect that does something")
                    probes[name] = getattr(contender.effect, "calls", 0) - calls
                    if turn >= WARM_UPS:
                        steps.setdefault(name, []).append(times)
                began = time.perf_counter()
                contender.render(mono)
                if turn >= WARM_UPS:
                    renders.setdefault(name, []).append((time.perf_counter() - began) / REAL_TIME_S)
        workers = farm.n_jobs
    return {
        "chain": spec.label,
        "controls": len(spec.space),
        "encoder": encoder,
        "network_parameters": sum(part.numel() for part in network.parameters()),
        "batch": batch,
        "segment": segment,
        "sample_rate": sample_rate,
        "repeats": repeats,
        "device": _device_name(device),
        "threads": torch.get_num_threads(),
        "jobs": workers,
        "command": command,
        "versions": versions([spec]),
        "methods": {
            name: {
                "step": {p: _median([each[p] for each in steps[name]]) for p in PARTS} if name in steps else None,
                "step_s": _median([sum(each.values()) for each in steps.get(name, [])]),
                "renders": probes.get(name, 0),
                "real_time_factor": _median(renders[name]),
                "parameters": contender.parameters,
            }
            for name, contender in contenders.items()
        },
    }


def _assemble(methods: Sequence[str] | None, setting: Setting, warn: Callable[[str], None]) -> dict[str, Contender]:
    """Make the contenders; one that was not asked for by name may be left out."""
    if methods:
        return {name: CONTENDERS[name](setting) for name in methods}
    made: dict[str, Contender] = {}
    for name, make in CONTENDERS.items():
        try:
            made[name] = make(setting)
        except AfxError as error:
            warn(f"{name} was left out: {error}")
    return made


def _median(values: list[float]) -> float | None:
    return round(statistics.median(values), 6) if values else None


def _device_name(device: str) -> str:
    return torch.cuda.get_device_name(device) if torch.device(device).type == "cuda" else "cpu"


def markdown(report: dict[str, Any]) -> str:
    """Draw the table.

    Parameters
    ----------
    report : dict
        What `measure` returned.
    """
    rows = {}
    for name, row in report["methods"].items():
        step = row["step"]
        parts = ["-"] * 6
        if step is not None:
            back = sum(step[part] for part in PARTS if part.startswith("backward"))
            numbers = (step["encoder"], step["effect"], step["loss"], back, step["backward_effect"], row["step_s"])
            parts = [f"{number:.3f}" for number in numbers]
        rows[name] = [*parts, str(row["renders"]), f"{row['real_time_factor']:.4f}", f"{row['parameters']:,}"]
    seconds = report["segment"] / report["sample_rate"]
    heads = ["method", "encoder", "effect", "loss", "backward", "of which effect", "step"]
    heads += ["renders", "real time", "parameters"]
    return "\n".join(
        [
            f"{report['chain']}, {report['controls']} controls, encoder {report['encoder']}, "
            f"{report['batch']} x {seconds:.2f} s at {report['sample_rate']} Hz, {report['device']}, "
            f"{report['threads']} threads, {report['jobs']} render workers, median of {report['repeats']}.",
            "",
            "Seconds of a training step; renders of the chain beyond the forward ones; rendering time over duration "
            "(CPU, mono); parameters beyond encoder and controller:",
            "",
            *draw_table(heads, rows),
        ]
    )
