"""The rule-based baseline of the 2022 paper (RB-DSP): match the average spectrum, then compress until as loud.

No plugin, no network, nothing to learn: what an engineer's first rule of thumb achieves.

Conventions: mono audio [samples]; both signals are brought to a peak of -12 dBFS first, and so is the result.

References
----------
Steinmetz, Bryan, Reiss, "Style transfer of audio effects with differentiable signal processing", JAES 70(9), 2022,
Section 4.2.
"""

from __future__ import annotations

import math

import msgspec
import numpy as np
import scipy.signal

from blackbox_afx.audio.levels import normalise_peak
from blackbox_afx.data.dynamics import compressor_gain_db
from blackbox_afx.errors import AudioError
from blackbox_afx.features.ballistics import attack_release
from blackbox_afx.metrics.loudness import integrated_loudness

SIZE = 65536
"""Samples of the analysis window, without taper."""
HOP = SIZE // 4
_FLOOR = 1e-8


def average_spectrum(audio: np.ndarray) -> np.ndarray:
    """Average the magnitude spectra of overlapping windows.

    Parameters
    ----------
    audio : np.ndarray [samples]

    Returns
    -------
    np.ndarray [SIZE / 2 + 1] float64
        Frames are rectangular, centred with reflection, a quarter of a window apart.
    """
    padded = np.pad(audio.astype(np.float64), SIZE // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, SIZE)[::HOP]
    total = np.zeros(SIZE // 2 + 1)
    for frame in frames:
        total += np.abs(np.fft.rfft(frame))
    return total / (len(frames) * math.sqrt(SIZE))


class RuleBased(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Give a recording the average spectrum and the loudness of a reference.

    Parameters
    ----------
    peak_dbfs : float
        Peak of both signals before, and of every signal that is measured or returned.
    smoothing : int, odd
        Bins over which the average spectra are smoothed (Savitzky-Golay, second order).
    taps : int, odd
        Of the linear-phase filter.
    ratio, attack_ms, release_ms, knee_db : float
        Of the compressor; its threshold is searched for.
    step_db, lowest_db : float
        The threshold falls from 0 by the first, to the second at most.
    deficit_lu : float
        The search ends where the result is softer than the reference by no more than that.
    last_but_one : bool
        Return the result of the threshold before the one that ended the search, as the paper's code does.

    Notes
    -----
    The defaults are the paper's. Two things are mended: the knee's formula, which jumped, and the filter's delay of
    half its length, which is taken out.

    Examples
    --------
    >>> noise = np.random.default_rng(0).standard_normal(48000).astype(np.float32)
    >>> RuleBased().process(noise, np.cumsum(noise - noise.mean()), 24000).shape
    (48000,)
    """

    peak_dbfs: float = -12.0
    smoothing: int = 1025
    taps: int = 63
    ratio: float = 3.0
    attack_ms: float = 1.0
    release_ms: float = 50.0
    knee_db: float = 6.0
    step_db: float = 0.5
    lowest_db: float = -80.0
    deficit_lu: float = 0.5
    last_but_one: bool = True

    def process(self, input: np.ndarray, reference: np.ndarray, sample_rate: float) -> np.ndarray:
        """Process a recording.

        Parameters
        ----------
        input : np.ndarray [samples]
        reference : np.ndarray [samples]
            Of any length.
        sample_rate : float
            Hz, of both.

        Returns
        -------
        np.ndarray [samples] float32
            As long as the input, with its peak at `peak_dbfs`.

        Raises
        ------
        AudioError
            Silence, or samples that are not finite.
        """
        source = normalise_peak(np.asarray(input, np.float32), self.peak_dbfs)[0]
        aim = normalise_peak(np.asarray(reference, np.float32), self.peak_dbfs)[0]
        matched = scipy.signal.fftconvolve(source, self.match_filter(source, aim), mode="same")
        equalised = normalise_peak(matched.astype(np.float32), self.peak_dbfs)[0]
        return self.compress_to(equalised, aim, sample_rate)[0]

    def match_filter(self, input: np.ndarray, reference: np.ndarray) -> np.ndarray:
        """Design the filter that brings one average spectrum to another.

        Parameters
        ----------
        input, reference : np.ndarray [samples]

        Returns
        -------
        np.ndarray [taps] float64
            Linear phase; delays by ``taps // 2``.
        """
        spectra = np.stack([average_spectrum(input), average_spectrum(reference)])
        smoothed: np.ndarray = np.array(scipy.signal.savgol_filter(spectra, self.smoothing, 2), np.float64)
        # The fitted parabolas may dip below zero beside a strong line.
        own, wanted = smoothed.clip(_FLOOR)
        response = wanted / own
        response[-1] = 0.0
        return scipy.signal.firwin2(self.taps, np.linspace(0.0, 1.0, len(response)), response)

    def compress_to(self, audio: np.ndarray, reference: np.ndarray, sample_rate: float) -> tuple[np.ndarray, float]:
        """Lower the threshold until the result, brought back to its peak, is as loud as the reference.

        Parameters
        ----------
        audio, reference : np.ndarray [samples] float32
            Of one peak level.
        sample_rate : float
            Hz.

        Returns
        -------
        audio : np.ndarray [samples] float32
        threshold_db : float
            That it was compressed with.

        Notes
        -----
        Audio that has no loudness (under 0.4 s, or all below -70 LUFS) comes back as it went in, at threshold 0.
        """
        try:
            wanted = integrated_loudness(reference, sample_rate)
            integrated_loudness(audio, sample_rate)
        except AudioError:
            return audio, 0.0
        level_db = 20.0 * np.log10(np.maximum(np.abs(audio), _FLOOR))
        before = (audio, 0.0)
        for k in range(1 + round(-self.lowest_db / self.step_db)):
            threshold = -k * self.step_db
            result = (self._compress(audio, level_db, threshold, sample_rate), threshold)
            if wanted - integrated_loudness(result[0], sample_rate) <= self.deficit_lu:
                return before if self.last_but_one else result
            before = result
        return before

    def _compress(self, audio: np.ndarray, level_db: np.ndarray, threshold: float, sample_rate: float) -> np.ndarray:
        reduction = -compressor_gain_db(level_db, threshold, self.ratio, self.knee_db)
        attack, release = (
            math.exp(-1e3 * math.log(9.0) / (sample_rate * time)) for time in (self.attack_ms, self.release_ms)
        )
        gain = 10.0 ** (-attack_release(reduction, attack, release) / 20.0)
        return normalise_peak((audio * gain).astype(np.float32), self.peak_dbfs)[0]
