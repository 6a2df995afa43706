"""A parametric equaliser: any number of second-order filters in series."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from blackbox_afx.dsp.biquads import Biquad
from blackbox_afx.dsp.frequency_sampling import filter_sampled
from blackbox_afx.dsp.recursion import filter_recursive
from blackbox_afx.errors import UsageError, nearest

Filtering = Literal["auto", "sampled", "exact"]
FILTERINGS = {"sampled": filter_sampled, "exact": filter_recursive}
"""How filters are applied; ``auto`` is ``sampled`` on a GPU and ``exact`` on a CPU, where it costs about the same."""


def equalise(audio: Tensor, bands: Sequence[Biquad], *, filtering: Filtering = "auto") -> Tensor:
    """Filter audio by bands in series.

    Parameters
    ----------
    audio : Tensor [batch, channels, samples]
    bands : sequence of Biquad
        Coefficients [batch, 3] each, as `biquads.peak` and the shelves give them.
    filtering : {"auto", "sampled", "exact"}
        In the frequency domain (the paper), or sample by sample; see `FILTERINGS`.

    Returns
    -------
    Tensor [batch, channels, samples]

    Raises
    ------
    UsageError
        For an unknown way of filtering.
    """
    if filtering == "auto":
        filtering = "sampled" if audio.is_cuda else "exact"
    if filtering not in FILTERINGS:
        raise UsageError(f"no filtering is called '{filtering}'; {nearest(filtering, ['auto', *FILTERINGS])}")
    b, a = (torch.stack([band[part] for band in bands], 1) for part in (0, 1))
    return FILTERINGS[filtering](audio, b, a)
