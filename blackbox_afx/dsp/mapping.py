"""From positions to plain values, in torch and differentiable."""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn

from blackbox_afx.errors import UsageError
from blackbox_afx.plugins.control import ControlSpace


class PlainMap(nn.Module):
    """Map positions to plain values as a `ControlSpace` does, but without snapping to steps.

    Parameters
    ----------
    space : ControlSpace
        Linear and logarithmic scales; a stepped control moves continuously from its minimum to its maximum.

    Examples
    --------
    >>> from blackbox_afx.plugins.builtins import builtin_profile
    >>> space = builtin_profile("PeakFilter").space
    >>> PlainMap(space)(torch.tensor([[0.5, 0.0, 1.0]])).tolist()
    [[0.0, 20.0, 10.0]]
    """

    def __init__(self, space: ControlSpace) -> None:
        super().__init__()
        self.names = tuple(space.names)
        controls = space.controls
        logarithmic = [control.scale == "log" and not control.steps for control in controls]
        bent = [
            (math.log(c.minimum), math.log(c.maximum)) if log else (c.minimum, c.maximum)
            for c, log in zip(controls, logarithmic, strict=True)
        ]
        ends = torch.tensor(bent, dtype=torch.float64).reshape(len(controls), 2)
        self.register_buffer("low", ends[:, 0], persistent=False)
        self.register_buffer("span", ends[:, 1] - ends[:, 0], persistent=False)
        self.register_buffer("logarithmic", torch.tensor(logarithmic, dtype=torch.bool), persistent=False)

    def forward(self, positions: Tensor) -> Tensor:
        """Map positions to plain values.

        Parameters
        ----------
        positions : Tensor [..., controls]
            Clipped to 0 to 1, as numpy's map does; at the ends themselves the derivative is whole.

        Returns
        -------
        Tensor [..., controls] float64
            Double precision, since a filter at 20 Hz needs it; there are few of them.

        Raises
        ------
        UsageError
            The last axis does not fit the controls.
        """
        if positions.shape[-1] != len(self.names):
            raise UsageError(
                f"positions have shape {list(positions.shape)}, expected the last axis to be {len(self.names)} controls"
            )
        low, span, log = (cast(Tensor, part) for part in (self.low, self.span, self.logarithmic))
        straight = low + span * positions.double().clamp(0.0, 1.0)
        # The branch not taken must stay finite, or its zero derivative becomes NaN.
        return torch.where(log, torch.where(log, straight, torch.zeros_like(straight)).exp(), straight)
