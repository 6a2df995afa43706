"""Change the sample rate, of a whole recording or of a stream of blocks.

Both use libsoxr's high quality setting: linear phase, with the delay of its filter removed.
"""

from __future__ import annotations

import numpy as np
import soxr
from jaxtyping import Float32

from blackbox_afx.errors import UsageError
from blackbox_afx.types import Audio

Resampled = Float32[np.ndarray, "channels resampled"]
"""A recording with another number of samples than the one it was made from."""


def _check_rates(*rates: float) -> None:
    for rate in rates:
        if not rate > 0:
            raise UsageError(f"sample rate is {rate}; expected a positive number of Hz")


def resample(audio: Audio, rate_in: float, rate_out: float) -> Resampled:
    """Resample a recording.

    Parameters
    ----------
    audio : np.ndarray [channels, samples] float32
        What to resample.
    rate_in, rate_out : float > 0
        Its sample rate and the wanted one, Hz.

    Returns
    -------
    np.ndarray [channels, round(samples * rate_out / rate_in)] float32
        The same array where the rates are equal.

    Raises
    ------
    UsageError
        For a sample rate that is not positive.
    """
    _check_rates(rate_in, rate_out)
    if rate_in == rate_out:
        return audio
    if audio.shape[-1] == 0:
        return audio.astype(np.float32)
    out = soxr.resample(np.ascontiguousarray(audio.T, dtype=np.float32), rate_in, rate_out, quality="HQ")
    return np.ascontiguousarray(out.T)


class StreamingResampler:
    """Resample block after block, as if the blocks were one recording.

    Parameters
    ----------
    rate_in, rate_out : float > 0
        Hz.
    channels : int >= 1
        Channels of every block.

    Notes
    -----
    The filter looks ahead, so `process` returns fewer samples than it owes; `finish` returns the rest.
    """

    def __init__(self, rate_in: float, rate_out: float, channels: int) -> None:
        _check_rates(rate_in, rate_out)
        self.channels = channels
        self._stream = None
        if rate_in != rate_out:
            self._stream = soxr.ResampleStream(rate_in, rate_out, channels, dtype="float32", quality="HQ")

    def process(self, block: Audio, *, last: bool = False) -> Resampled:
        """Take a block and return what is ready.

        Parameters
        ----------
        block : np.ndarray [channels, samples] float32
            The next samples; may be empty.
        last : bool
            Whether nothing follows; then all that is owed comes back.

        Returns
        -------
        np.ndarray [channels, any number of samples] float32
        """
        if self._stream is None:
            return block
        out = self._stream.resample_chunk(np.ascontiguousarray(block.T, dtype=np.float32), last=last)
        return np.ascontiguousarray(out.T)

    def finish(self) -> Resampled:
        """Return the samples still owed; nothing may follow."""
        return self.process(np.zeros((self.channels, 0), dtype=np.float32), last=True)
