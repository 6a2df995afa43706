"""How good a proxy is, where it is wrong, and whether its gradient points where the plugin's does."""

from __future__ import annotations

import msgspec
import numpy as np
import torch
from torch import Tensor

from blackbox_afx.data.segments import ClipSet
from blackbox_afx.errors import FarmError
from blackbox_afx.grads.steps import chain_step_sizes
from blackbox_afx.losses.stft import multi_resolution_stft
from blackbox_afx.losses.style import StyleLoss
from blackbox_afx.plugins.chain import ChainSpec
from blackbox_afx.plugins.farm import Farm
from blackbox_afx.plugins.jobs import ProbeJob, RenderJob
from blackbox_afx.proxies.waveform import WaveformProxy
from blackbox_afx.train.patches import PatchPlan, draw_patch

THIRDS = ("low", "middle", "high")
STEP = 1e-2
"""Position step of the central differences, before the control's resolution and repeatability are heeded."""
SEGMENT = 32768
"""Samples of a patch."""
CASES = 24
"""Patches whose gradients are compared."""


class ControlScores(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Say how a proxy fares with one control.

    Parameters
    ----------
    name : str
    error : tuple of float
        STFT error as a share of the input's, with the control in the low, middle and high third of its range.
    cosine : float
        Between the proxy's and the plugin's derivative over all cases; NaN for a stepped control.
    sign : float, 0 to 1
        Share of the gradient's size for which both have one sign.
    """

    name: str
    error: tuple[float, float, float]
    cosine: float
    sign: float


class ProxyScores(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Hold what `measure_proxy` found.

    Parameters
    ----------
    patches, cases : int
        How many the errors, and the gradients, are from.
    stft_ratio, waveform_ratio : float
        Error of the proxy's output as a share of the input's: multi-resolution STFT, mean absolute difference.
    error_db : float
        Power of the error over that of the plugin's output.
    cosine, cosine_least : float
        Between the gradients with respect to all controls: true loss gradient at the audio, then the proxy's Jacobian
        or the plugin's central differences; mean over the cases, and the lowest.
    own_cosine, own_cosine_least : float
        The same where the proxy's audio makes the loss, too (NP).
    controls : tuple of ControlScores
    seed : int
    """

    patches: int
    cases: int
    stft_ratio: float
    waveform_ratio: float
    error_db: float
    cosine: float
    cosine_least: float
    own_cosine: float
    own_cosine_least: float
    controls: tuple[ControlScores, ...]
    seed: int


def measure_proxy(
    proxy: WaveformProxy,
    spec: ChainSpec,
    farm: Farm,
    clips: ClipSet,
    *,
    patches: int,
    seed: int,
    segment: int = SEGMENT,
) -> ProxyScores:
    """Compare a proxy with its plugin on patches of recordings at uniform settings.

    Parameters
    ----------
    proxy : WaveformProxy
        In evaluation mode, on the CPU.
    spec : ChainSpec
        The plugin alone.
    farm : Farm
    clips : ClipSet
        Nothing was learned from them.
    patches, seed : int
    segment : int
        Samples of a patch.

    Returns
    -------
    ProxyScores

    Raises
    ------
    FarmError
        No patch could be rendered.
    """
    rng = np.random.default_rng([seed, 0x5052])
    plan = PatchPlan(segment=segment, low_peak_dbfs=-24.0, high_peak_dbfs=-12.0, noise=0.0)
    audio = [draw_patch(rng, clips, plan)[None] for _ in range(patches)]
    values = spec.space.snap(rng.random((patches, len(spec.space))))
    wanted = spec.space.snap(rng.random((patches, len(spec.space))))
    rate = clips.sample_rate
    both = [(clip, row) for rows in (values, wanted) for clip, row in zip(audio, rows, strict=True)]
    results = farm.run([RenderJob(spec=spec, audio=clip, positions=row, sample_rate=rate) for clip, row in both])
    keep = [k for k in range(patches) if results[k].ok and results[patches + k].ok]
    if not keep:
        raise FarmError(f"no patch could be rendered by {spec.label} ({results[0].failure}); probe the plugin again")
    dry = torch.from_numpy(np.stack([audio[k] for k in keep]))
    wet = torch.from_numpy(np.stack([results[k].value for k in keep]))
    goal = torch.from_numpy(np.stack([results[patches + k].value for k in keep]))
    at = torch.from_numpy(values[keep]).float()
    with torch.no_grad():
        made = torch.cat([proxy(dry[k : k + 8], at[k : k + 8]) for k in range(0, len(keep), 8)])
        missed = _errors(made, wet)
        before = _errors(dry, wet)
    cases = min(CASES, len(keep))
    true, through, own = _gradients(proxy, spec, farm, dry[:cases], wet[:cases], goal[:cases], at[:cases], rate)
    cosines, own_cosines = _cosines(true, through, 1), _cosines(true, own, 1)
    return ProxyScores(
        patches=len(keep),
        cases=cases,
        stft_ratio=float(missed[:, 0].mean() / before[:, 0].mean()),
        waveform_ratio=float(missed[:, 1].mean() / before[:, 1].mean()),
        error_db=float(10 * np.log10(missed[:, 2].mean() / np.mean(wet.numpy().astype(np.float64) ** 2))),
        cosine=float(np.nanmean(cosines)),
        cosine_least=float(np.nanmin(cosines)),
        own_cosine=float(np.nanmean(own_cosines)),
        own_cosine_least=float(np.nanmin(own_cosines)),
        controls=_by_control(spec, values[keep], missed[:, 0], before[:, 0], true, through),
        seed=seed,
    )


def _errors(estimate: Tensor, target: Tensor) -> np.ndarray:
    """Give STFT distance, mean absolute and mean square difference of each example [examples, 3]."""
    gap = (estimate - target).double()
    stft = multi_resolution_stft(estimate, target, reduction="none").double()
    return torch.stack([stft, gap.abs().mean((1, 2)), gap.square().mean((1, 2))], dim=1).numpy()


def _gradients(
    proxy: WaveformProxy, spec: ChainSpec, farm: Farm, dry: Tensor, wet: Tensor, goal: Tensor, at: Tensor, rate: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give three gradients [cases, controls]: the plugin's differences, the proxy's Jacobian, the proxy alone."""
    loss = StyleLoss()
    heard = wet.clone().requires_grad_(True)
    (cotangent,) = torch.autograd.grad(loss.per_example(heard, goal).sum(), heard)
    steps = chain_step_sizes(spec, STEP)
    moved = np.flatnonzero(np.isfinite(steps))
    jobs, spans = [], []
    for clip, row, slope in zip(dry.numpy(), at.double().numpy(), cotangent.numpy(), strict=True):
        points = np.repeat(row[None], 2 * len(moved), axis=0)
        for k, control in enumerate(moved):
            # Both points inside the box, at the bounds one-sided.
            points[2 * k, control] = min(row[control] + steps[control], 1.0)
            points[2 * k + 1, control] = max(row[control] - steps[control], 0.0)
        spans.append([points[2 * k, c] - points[2 * k + 1, c] for k, c in enumerate(moved)])
        jobs.append(ProbeJob(spec=spec, audio=clip, base=row, points=points, cotangent=slope, sample_rate=rate))
    true = np.full((len(jobs), len(steps)), np.nan)
    for result in farm.run(jobs):
        if result.ok:
            true[result.index, moved] = (result.value[::2] - result.value[1::2]) / spans[result.index]
    positions = at.clone().requires_grad_(True)
    through, own = [], []
    for k in range(0, len(dry), 4):
        part = positions[k : k + 4]
        made = proxy(dry[k : k + 4], part)
        (one,) = torch.autograd.grad((made * cotangent[k : k + 4]).sum(), part, retain_graph=True)
        (two,) = torch.autograd.grad(loss.per_example(made, goal[k : k + 4]).sum(), part)
        through.append(one)
        own.append(two)
    still = ~np.isfinite(steps)
    found = [torch.cat(rows).double().numpy() for rows in (through, own)]
    for rows in found:
        rows[:, still] = np.nan
    return true, found[0], found[1]


def _cosines(first: np.ndarray, second: np.ndarray, axis: int) -> np.ndarray:
    product = np.nansum(first * second, axis)
    valid = np.isfinite(first * second)
    size = np.sqrt(np.nansum(first**2 * valid, axis) * np.nansum(second**2 * valid, axis))
    return np.where(size > 0, product / np.where(size > 0, size, 1.0), np.nan)


def _by_control(
    spec: ChainSpec, values: np.ndarray, missed: np.ndarray, before: np.ndarray, true: np.ndarray, through: np.ndarray
) -> tuple[ControlScores, ...]:
    cosines, rows = _cosines(true, through, 0), []
    for k, name in enumerate(spec.space.names):
        third = np.minimum((values[:, k] * 3).astype(int), 2)
        # No patch may have the control there.
        errors = [
            float(missed[third == t].sum() / before[third == t].sum()) if (third == t).any() else float("nan")
            for t in range(3)
        ]
        weight = np.abs(true[:, k])
        agree = np.sign(true[:, k]) == np.sign(through[:, k])
        total = np.nansum(weight)
        sign = float(np.nansum(weight * agree) / total) if total > 0 else float("nan")
        low, middle, high = errors
        rows.append(
            ControlScores(name=name.partition(": ")[2], error=(low, middle, high), cosine=float(cosines[k]), sign=sign)
        )
    return tuple(rows)
