"""What an effect module is made of: differentiable stages, and which control sets which of their parameters.

A stage is either a filter, which only designs coefficients, so that neighbouring filters are applied in one go, or a
process, which takes audio and gives audio.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol

import msgspec
from torch import Tensor, nn

from blackbox_afx.dsp.biquads import Biquad
from blackbox_afx.dsp.compressor import Smoothing
from blackbox_afx.dsp.equaliser import Filtering, equalise
from blackbox_afx.dsp.mapping import PlainMap
from blackbox_afx.errors import UsageError
from blackbox_afx.plugins.control import Control, ControlSpace


class Design(Protocol):
    """A filter: plain values [batch] and the sample rate to coefficients."""

    def __call__(self, *, sample_rate: float, **plain: Tensor) -> Biquad: ...


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """One step of an effect.

    Parameters
    ----------
    kind : {"filter", "process"}
    function : callable
        A `Design`, or ``function(audio, sample_rate, **options, **plain)``.
    controls : mapping of argument to control name
        Which control sets which argument.
    options : mapping
        Further arguments, the same for all.
    smoothed : bool
        Whether the function takes the module's `smoothing`.
    """

    kind: Literal["filter", "process"]
    function: Callable[..., Any]
    controls: Mapping[str, str]
    options: Mapping[str, Any] = {}
    smoothed: bool = False


class Twin(msgspec.Struct, frozen=True, kw_only=True):
    """What imitates a plugin.

    Parameters
    ----------
    stages : tuple of Stage
    fixed : mapping of control name to plain value
        Controls that it does not imitate: they must be held there.
    version : str
        Of the plugin that it was compared with; empty where the formulae are the plugin's own.
    """

    stages: tuple[Stage, ...]
    fixed: Mapping[str, float] = {}
    version: str = ""


class EffectModule(nn.Module):
    """Apply stages in series, set by positions.

    Parameters
    ----------
    space : ControlSpace
        Of the positions.
    stages : sequence of Stage
        Their control names are the space's.
    sample_rate : int
        Hz.
    held : mapping of control name to plain value
        For controls that the space lacks.
    filtering : {"auto", "sampled", "exact"}
        How filters are applied: by FFT, or sample by sample; auto is the first on a GPU and the second on a CPU.
    smoothing : {"exact", "one_pole"}
        How compressors follow the level: as the plugin does, or by the 2022 paper's approximation.

    Attributes
    ----------
    sample_rate : int
    space : ControlSpace

    Raises
    ------
    UsageError
        A stage needs a control that is neither in the space nor held.
    """

    def __init__(
        self,
        space: ControlSpace,
        stages: tuple[Stage, ...],
        sample_rate: int,
        *,
        held: Mapping[str, float] | None = None,
        filtering: Filtering = "auto",
        smoothing: Smoothing = "exact",
    ) -> None:
        super().__init__()
        held = held or {}
        needed = {name for stage in stages for name in stage.controls.values()}
        lacking = sorted(needed - set(space.names) - set(held))
        if lacking:
            raise UsageError(f"no control is called {', '.join(lacking)}; expected all of {', '.join(sorted(needed))}")
        self.sample_rate, self.space, self.stages = sample_rate, space, stages
        self.filtering, self.smoothing = filtering, smoothing
        self.held = dict(held)
        self.plain = PlainMap(space)
        self._columns = {name: k for k, name in enumerate(space.names)}

    def forward(self, audio: Tensor, positions: Tensor) -> Tensor:
        """Process audio.

        Parameters
        ----------
        audio : Tensor [batch, channels, samples]
            Full scale at +-1.
        positions : Tensor [batch, controls], 0 to 1

        Returns
        -------
        Tensor [batch, channels, samples]

        Raises
        ------
        UsageError
            Shapes do not fit each other.
        """
        if audio.ndim != 3 or positions.shape != (len(audio), len(self.space)):
            raise UsageError(
                f"audio has shape {list(audio.shape)} and positions {list(positions.shape)}, "
                f"expected [batch, channels, samples] and [batch, {len(self.space)}]"
            )
        values = self.plain(positions)
        waiting: list[Biquad] = []
        for stage in self.stages:
            plain = {argument: self._value(name, values) for argument, name in stage.controls.items()}
            if stage.kind == "filter":
                waiting.append(stage.function(sample_rate=self.sample_rate, **stage.options, **plain))
                continue
            audio = self._filter(audio, waiting)
            waiting = []
            options = {**stage.options, **({"smoothing": self.smoothing} if stage.smoothed else {})}
            audio = stage.function(audio, self.sample_rate, **options, **plain)
        return self._filter(audio, waiting)

    def _filter(self, audio: Tensor, bands: list[Biquad]) -> Tensor:
        return equalise(audio, bands, filtering=self.filtering) if bands else audio

    def _value(self, name: str, values: Tensor) -> Tensor:
        if name in self._columns:
            return values[:, self._columns[name]]
        return values.new_full(values.shape[:1], self.held[name])


def held_values(controls: tuple[Control, ...]) -> dict[str, float]:
    """Give the plain values of controls that nothing sets: as held, or the plugin's own."""
    return {
        control.name: control.default if control.value is None else control.value
        for control in controls
        if not control.use
    }
