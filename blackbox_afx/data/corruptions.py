"""Make a pair to learn from out of one clip, without the plugin that is to be controlled.

The style-transfer paper's recipe: both sides of the pair are coloured by random equalisers, the input rarely expanded,
the target mostly compressed. The controller then has to undo the one and imitate the other.

Mended against the paper's released code: the target, not the input, is normalised before its compressor; the fades
last 50 ms at any sample rate. Its random pitch and tempo need more audio than a pair holds, so they are the
sampler's: `ClipSampler(max_cents=200)`.

Conventions: mono [samples] float32, full scale at +-1; every function draws from the generator that it is given.

References
----------
Steinmetz, Bryan, Reiss, "Style transfer of audio effects with differentiable signal processing",
JAES 70(9), 2022, section 3.
"""

from __future__ import annotations

import numpy as np

from blackbox_afx.audio.levels import normalise_peak, peak_dbfs
from blackbox_afx.data.dynamics import compress, expand
from blackbox_afx.data.equaliser import equalise, section
from blackbox_afx.errors import AudioError

PEAK_DBFS = -12.0
FADE_SECONDS = 0.05
MAX_GAIN_SUM_DB = 24.0
_SILENT_BELOW_DBFS = -120.0


def _normalise(audio: np.ndarray) -> np.ndarray:
    # A strong expander can leave next to nothing; that is no reason to end a training run.
    if peak_dbfs(audio) < _SILENT_BELOW_DBFS:
        return audio
    return normalise_peak(audio, PEAK_DBFS)[0]


def corrupt_frequency(rng: np.random.Generator, audio: np.ndarray, sample_rate: float) -> np.ndarray:
    """Colour a signal with up to four random peaks and two random shelves.

    Parameters
    ----------
    rng : np.random.Generator
    audio : np.ndarray [samples] float32
    sample_rate : float
        Hz.

    Returns
    -------
    np.ndarray [samples] float32

    Notes
    -----
    Each section takes part with probability 0.8. Peaks: gain to +-48 dB, Q 0.1 to 10.1; one that brings the running
    sum of the gains drawn to 24 dB or beyond is left out. Shelves: gain to +-24 dB. All draws are uniform.
    """
    top = 0.9 * sample_rate / 2
    sections = []
    total = 0.0
    for low, high in ((200.0, 2000.0), (800.0, 4000.0), (2000.0, 8000.0), (4000.0, top)):
        if rng.random() >= 0.8:
            continue
        frequency = rng.uniform(min(low, top), min(high, top))
        q = rng.uniform(0.1, 10.1)
        gain = rng.uniform(0.0, 48.0) * rng.choice((-1.0, 1.0))
        total += gain
        if abs(total) < MAX_GAIN_SUM_DB:
            sections.append(section("peak", gain, frequency, q, sample_rate))
    if rng.random() < 0.8:
        sections.append(section("low_shelf", rng.uniform(-24, 24), rng.uniform(20, 200), 0.707, sample_rate))
    if rng.random() < 0.8:
        frequency = rng.uniform(min(4000.0, top), top)
        sections.append(section("high_shelf", rng.uniform(-24, 24), frequency, 0.707, sample_rate))
    return equalise(audio, sections)


def random_compressor(
    rng: np.random.Generator, audio: np.ndarray, sample_rate: float, *, quick: bool = False
) -> np.ndarray:
    """Compress a signal: threshold -64 to -12 dBFS, ratio 1 to 11, attack 0.5 to 50.5 ms, makeup to 6 dB.

    `quick` takes pedalboard's compressor, with a hard knee, at a fraction of the time: training makes thousands of
    pairs, and need not meet the very compressor that benchmarks corrupt with.
    """
    settings = _draw(rng, (-64.0, -12.0), (1.0, 11.0), (0.0005, 0.0505))
    if not quick:
        return compress(audio, sample_rate, **settings)
    return _quickly("Compressor", settings, audio, sample_rate)


def random_expander(
    rng: np.random.Generator, audio: np.ndarray, sample_rate: float, *, quick: bool = False
) -> np.ndarray:
    """Expand a signal downwards: threshold -30 to -10 dBFS, ratio 1 to 5, attack 1 to 51 ms, makeup to 6 dB.

    `quick` takes pedalboard's noise gate, which expands with a hard knee.
    """
    settings = _draw(rng, (-30.0, -10.0), (1.0, 5.0), (0.001, 0.051))
    if not quick:
        return expand(audio, sample_rate, **settings)
    return _quickly("NoiseGate", settings, audio, sample_rate)


def _quickly(effect: str, settings: dict[str, float], audio: np.ndarray, sample_rate: float) -> np.ndarray:
    """Run one of pedalboard's dynamics effects, then the makeup gain."""
    import pedalboard

    milliseconds = 1000 * settings["attack"], 1000 * settings["release"]
    made = getattr(pedalboard, effect)(settings["threshold"], settings["ratio"], *milliseconds)
    return made.process(audio[None], sample_rate)[0] * np.float32(10 ** (settings["makeup"] / 20))


def _draw(
    rng: np.random.Generator, threshold: tuple[float, float], ratio: tuple[float, float], attack: tuple[float, float]
) -> dict[str, float]:
    seconds = rng.uniform(*attack)
    return {
        "attack": seconds,
        "threshold": rng.uniform(*threshold),
        "ratio": rng.uniform(*ratio),
        "release": seconds + rng.uniform(0.0, 0.2),
        "knee": rng.uniform(0.0, 12.0),
        "makeup": rng.uniform(0.0, 6.0),
    }


def fade(audio: np.ndarray, sample_rate: float, seconds: float = FADE_SECONDS) -> np.ndarray:
    """Fade a signal in and out linearly; a signal shorter than both fades meets in its middle."""
    count = min(round(seconds * sample_rate), audio.shape[-1] // 2)
    if count == 0:
        return audio
    out = audio.copy()
    ramp = np.arange(count, dtype=np.float32) / np.float32(count)
    out[..., :count] *= ramp
    out[..., -count:] *= ramp[::-1]
    return out


def corrupt_input(
    rng: np.random.Generator, audio: np.ndarray, sample_rate: float, *, quick: bool = False
) -> np.ndarray:
    """Process a signal as the input side of a pair.

    Parameters
    ----------
    rng : np.random.Generator
    audio : np.ndarray [samples] float32
    sample_rate : float
        Hz.
    quick : bool
        Let pedalboard's effects do it, at a fraction of the time.

    Returns
    -------
    np.ndarray [samples] float32
        Coloured with probability 0.75, expanded with 0.1, faded at both ends; peak -12 dBFS before and after.
    """
    if rng.random() < 0.75:
        audio = corrupt_frequency(rng, audio, sample_rate)
    audio = _normalise(audio)
    if rng.random() < 0.10:
        audio = random_expander(rng, audio, sample_rate, quick=quick)
    return _normalise(fade(audio, sample_rate))


def corrupt_target(
    rng: np.random.Generator, audio: np.ndarray, sample_rate: float, *, quick: bool = False
) -> np.ndarray:
    """Process a signal as the target side of a pair.

    Parameters
    ----------
    rng, audio, sample_rate, quick
        As for `corrupt_input`.

    Returns
    -------
    np.ndarray [samples] float32
        Coloured with probability 0.75, compressed with 0.75, faded at both ends; peak -12 dBFS before and after.
    """
    if rng.random() < 0.75:
        audio = corrupt_frequency(rng, audio, sample_rate)
    audio = _normalise(audio)
    if rng.random() < 0.75:
        audio = random_compressor(rng, audio, sample_rate, quick=quick)
    return _normalise(fade(audio, sample_rate))


def paper_pair(
    rng: np.random.Generator, half_a: np.ndarray, half_b: np.ndarray, sample_rate: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Make an input, a reference and a target from two neighbouring halves of a clip.

    Parameters
    ----------
    rng : np.random.Generator
        The only source of chance.
    half_a, half_b : np.ndarray [samples] float32
        Of one length, as `ClipSampler.draw` gives them.
    sample_rate : float
        Hz.

    Returns
    -------
    input_a, reference_b, target_a : np.ndarray [samples] float32
        Reference and target have been through the same processing. Or all three with the halves exchanged, with
        probability one half. The two halves of the input side and those of the target side were each normalised
        together to -12 dBFS, so that a half by itself may peak lower.

    Raises
    ------
    AudioError
        For halves of different lengths.
    """
    if half_a.shape != half_b.shape or half_a.ndim != 1:
        raise AudioError(
            f"halves of shapes {list(half_a.shape)} and {list(half_b.shape)}; expected one length, [samples] each"
        )
    # The halves are processed as the one signal they were cut from, so that filters and envelopes have no seam.
    patch = _normalise(np.concatenate([half_a, half_b]).astype(np.float32, copy=False))

    source = corrupt_input(rng, patch, sample_rate)
    target = corrupt_target(rng, patch, sample_rate)
    source_a, source_b = np.split(source, 2)
    target_a, target_b = np.split(target, 2)
    if rng.random() < 0.5:
        return source_a, target_b, target_a
    return source_b, target_a, target_b
