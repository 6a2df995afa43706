"""Sound as tiles of bands and frames, and how a small change of it reads as gains on them.

A control that is turned a little changes each tile of the output by a complex gain times what is known of it already:
the output, the input, and the output weighted by its own level and by the gain it has. These four are the *basis*.

Conventions: S samples, T frames (of all channels), B bands, J basis functions. Frames of about 43 ms overlap by half
under the root of a Hann window, which makes a tight frame: products summed over tiles are products summed over
samples, but for rounding. The last band takes all above 12 kHz.
"""

from __future__ import annotations

import functools

import msgspec
import numpy as np
from scipy import fft

from blackbox_afx.features.bands import HIGHEST_HZ

BANDS = 48
BASIS = 4
FRAME_S = 1024 / 24000
BEND_HZ = 300.0
QUIET = 1e-3
"""Tile amplitudes are told apart down to here."""
LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
"""Quantiles of frame levels among the features."""
FEATURES = 5 * BANDS + 3 * len(LEVELS)


class Tiles(msgspec.Struct, frozen=True, kw_only=True):
    """Hold a render as a basis for its small changes.

    Parameters
    ----------
    basis : complex64 [J, T, bins]
        What gains multiply. In every band each function has the energy of the first.
    loudness : float32 [T, bins]
        Weight at which an error of a bin counts, as in a loss on linear and logarithmic magnitudes.
    features : float32 [FEATURES]
        Spectra and levels of input and output, dB.
    starts : int64 [B]
        First bin of each band.
    share : float32 [bins]
        How often a bin stands for itself and its mirror image, over the size of the transform.
    """

    basis: np.ndarray
    loudness: np.ndarray
    features: np.ndarray
    starts: np.ndarray
    share: np.ndarray


@functools.lru_cache(maxsize=8)
def band_starts(size: int, sample_rate: int) -> np.ndarray:
    """Give the first bin of each band, int64 [B], of a transform of so many samples."""
    edges = BEND_HZ * np.expm1(np.linspace(0.0, np.log1p(HIGHEST_HZ / BEND_HZ), BANDS + 1))[:-1]
    starts = np.round(edges * size / sample_rate).astype(int)
    # At low rates the highest bands lie beyond what there is; they take a bin each at the top.
    starts = np.minimum(starts, size // 2 + 1 - BANDS + np.arange(BANDS))
    for band in range(1, BANDS):
        # Low bands are narrower than a bin; each keeps one.
        starts[band] = max(starts[band], starts[band - 1] + 1)
    return starts


@functools.lru_cache(maxsize=8)
def front_end(sample_rate: int) -> tuple[int, np.ndarray, np.ndarray, np.ndarray]:
    """Give the size of a frame, its window, the first bin of each band, and the weight of a bin in products."""
    size = 2 ** round(np.log2(FRAME_S * sample_rate))
    window = np.sqrt(np.hanning(size + 1)[:-1]).astype(np.float32)
    starts = band_starts(size, sample_rate)
    share = np.full(size // 2 + 1, 2.0 / size, np.float32)
    share[[0, -1]] /= 2.0
    return size, window, starts, share


def spectra(audio: np.ndarray, sample_rate: int) -> np.ndarray:
    """Transform audio [channels, samples] into complex64 [frames of all channels, bins]."""
    size, window, _, _ = front_end(int(sample_rate))
    hop = size // 2
    padded = np.pad(np.asarray(audio, np.float32), ((0, 0), (hop, size + (-audio.shape[-1]) % hop)))
    frames = np.lib.stride_tricks.sliding_window_view(padded, size, axis=1)[:, ::hop] * window
    return fft.rfft(frames, axis=2).reshape(-1, size // 2 + 1)


def tiles(dry: np.ndarray, wet: np.ndarray, sample_rate: int) -> Tiles:
    """Measure a render.

    Parameters
    ----------
    dry, wet : float32 [channels, samples]
        What went into a chain, and what came out.
    sample_rate : int
        Hertz.

    Returns
    -------
    Tiles
    """
    _, _, starts, share = front_end(int(sample_rate))
    before, after = spectra(dry, sample_rate), spectra(wet, sample_rate)
    width = np.diff([*starts, after.shape[1]])
    magnitude = np.abs(after)
    power = [np.add.reduceat(np.square(part), starts, axis=1) for part in (np.abs(before), magnitude)]
    amplitude = [np.log(np.sqrt(rows) + QUIET) for rows in power]
    level, gain = amplitude[1], amplitude[1] - amplitude[0]
    weights = [np.repeat(_standard(rows), width, axis=1) for rows in (level, gain)]
    loudness = (1.0 + magnitude) / np.maximum(magnitude, 1e-4)
    basis = np.stack([after, before, after * weights[0], after * weights[1]])
    energy = np.add.reduceat(np.square(np.abs(basis) * loudness).sum(1), starts, axis=1)
    scale = np.sqrt(energy[:1] / np.maximum(energy, 1e-12))
    basis *= np.repeat(np.minimum(scale, 1e3), width, axis=1)[:, None, :]
    decibel = np.float32(20.0 / np.log(10.0))
    frames = [10.0 * np.log10(rows.sum(1) + 1e-9) for rows in power]
    features = np.concatenate(
        [
            *(decibel * rows.mean(0) for rows in amplitude),
            *(decibel * rows.std(0) for rows in (*amplitude, gain)),
            *(np.quantile(rows, LEVELS) for rows in (*frames, frames[1] - frames[0])),
        ]
    )
    return Tiles(
        basis=basis.astype(np.complex64),
        loudness=loudness.astype(np.float32),
        features=features.astype(np.float32),
        starts=starts,
        share=share,
    )


def _standard(rows: np.ndarray) -> np.ndarray:
    """Bring every band to mean 0 and deviation 1 over frames."""
    return (rows - rows.mean(0)) / (rows.std(0) + 0.05)


def contract(found: Tiles, cotangent: np.ndarray, sample_rate: int) -> np.ndarray:
    """Multiply a loss gradient with each basis function.

    Parameters
    ----------
    found : Tiles
    cotangent : float [channels, samples]
        dL/dy at the render.
    sample_rate : int
        Hertz.

    Returns
    -------
    complex128 [B, J]
        z: a change of the render by gains m [B, J] changes the loss by ``Re sum(z * m)``.
    """
    slope = np.conj(spectra(cotangent, sample_rate)) * found.share
    product = np.stack([(slope * part).sum(0, dtype=np.complex128) for part in found.basis])
    return np.add.reduceat(product, found.starts, axis=1).T


def gram(found: Tiles) -> np.ndarray:
    """Multiply the basis with itself at the weights of `loudness`, complex64 [B, J, J]; the bands add to 1."""
    heard = (found.basis * found.loudness).astype(np.complex64)
    bounds = [*found.starts, heard.shape[2]]
    product = np.zeros((BANDS, BASIS, BASIS), np.complex64)
    for band in range(BANDS):
        rows = heard[:, :, bounds[band] : bounds[band + 1]].reshape(BASIS, -1)
        product[band] = rows.conj() @ rows.T
    return product / energy(found)


class Projection(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Hold products of a change of the render with the basis and with what was foretold of it.

    The gains m that come nearest minimise ``m* G m - 2 Re(m* r)``, where G is `gram`, with `cross` and `own` as its
    last column and corner, and r is `change`.

    Parameters
    ----------
    change : complex64 [B, J + 1]
    energy : float
        Of the change, at the weights and in the unit of `gram`.
    cross : complex64 [B, J]
    own : float32 [B]
    """

    change: np.ndarray
    energy: float
    cross: np.ndarray
    own: np.ndarray


def project_with(found: Tiles, foretold: np.ndarray, change: np.ndarray, sample_rate: int) -> Projection:
    """Multiply a change of the render with the basis and one more function; `foretold` as `change` in `project`."""
    moved, ahead = (spectra(part, sample_rate) * found.loudness for part in (change, foretold))
    heard, unit = (found.basis * found.loudness).conj(), energy(found)

    def banded(product: np.ndarray) -> np.ndarray:
        return np.add.reduceat(product, found.starts, axis=-1) / unit

    products = [banded((part * moved).sum(0)) for part in (*heard, ahead.conj())]
    return Projection(
        change=np.stack(products, axis=-1).astype(np.complex64),
        energy=float(np.square(np.abs(moved)).sum() / unit),
        cross=np.stack([banded((part * ahead).sum(0)) for part in heard], axis=-1).astype(np.complex64),
        own=banded(np.square(np.abs(ahead)).sum(0)).astype(np.float32),
    )


def project(found: Tiles, change: np.ndarray, sample_rate: int) -> tuple[np.ndarray, float]:
    """Multiply a change of the render with the basis, at the same weights.

    Parameters
    ----------
    found : Tiles
    change : float [channels, samples]
        How the render changes, for each unit of a control's position.
    sample_rate : int
        Hertz.

    Returns
    -------
    complex64 [B, J]
        r: the gains m that come nearest minimise ``m* G m - 2 Re(m* r)``, G from `gram`.
    float
        Energy of the change, at the weights and in the unit of `gram`.
    """
    moved = spectra(change, sample_rate) * found.loudness
    unit = energy(found)
    product = np.stack([((part * found.loudness).conj() * moved).sum(0) for part in found.basis])
    return np.add.reduceat(product, found.starts, axis=1).T / unit, float(np.square(np.abs(moved)).sum() / unit)


def energy(found: Tiles) -> float:
    """Give the weighted energy of the render."""
    return max(float(np.square(np.abs(found.basis[0]) * found.loudness).sum()), 1e-12)
