"""STFT distance: the spectral part of the training loss, as a figure."""

from __future__ import annotations

import numpy as np

from blackbox_afx.errors import UsageError


def stft_distance(target: np.ndarray, estimate: np.ndarray, sample_rate: float) -> float:
    """Measure the multi-resolution STFT distance.

    Parameters
    ----------
    target, estimate : np.ndarray [samples] or [channels, samples]
        Of one shape and aligned in time.
    sample_rate : float
        Not used: the resolutions are counted in samples, so figures of different rates can't be compared.

    Returns
    -------
    float
        Zero for equal magnitudes; see `blackbox_afx.losses.multi_resolution_stft`.

    Raises
    ------
    UsageError
        For different shapes.
    """
    import torch

    from blackbox_afx.losses.stft import multi_resolution_stft

    if target.shape != estimate.shape:
        raise UsageError(
            f"target {list(target.shape)} and estimate {list(estimate.shape)}; "
            "expected one shape for the STFT distance; cut both to the same length"
        )
    first, second = (
        # torch warns about read-only arrays, which workers get by memory map.
        torch.from_numpy(np.array(np.atleast_2d(audio), dtype=np.float32))[None]
        for audio in (estimate, target)
    )
    with torch.no_grad():
        return float(multi_resolution_stft(first, second))
