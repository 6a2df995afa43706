"""What a few renders say about all others: a Gaussian process over settings that predicts whole style vectors.

Conventions: N settings seen, P controls, K style numbers; positions are 0 to 1. One kernel serves all K outputs: linear
plus squared exponential, each with a scale of its own for each control, so that controls which hardly move the sound
drop out.

References
----------
Rasmussen, Williams, "Gaussian processes for machine learning", MIT Press 2006, eq. 2.25, 2.26, 5.9.
Astudillo, Frazier, "Bayesian optimization of composite functions", ICML 2019: model the vector, not its distance.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import linalg, optimize

if TYPE_CHECKING:
    from blackbox_afx.transfer.foretold import Foretold

OUTPUTS = 8.0
"""Outputs that count as independent when the kernel is fitted: style numbers are strongly correlated."""
CONSTANT = 0.1
JITTER = 1e-9
FAR = 4.0
"""How far from its prior the logarithm of a kernel's parameter may go."""
LINEAR, LENGTH, CURVED, NOISE = 4.0, 0.7, 4.0, 1e-2
"""What is likely before any render, the outputs' root mean square being 1."""


class Prediction(NamedTuple):
    """Say how a setting will sound.

    Parameters
    ----------
    mean : float64 [K]
    pull_back : callable
        Multiplies a row, float64 [K], by the mean's Jacobian: float64 [P].
    variance : float64
        Of each output.
    slope : float64 [P]
        Of the variance.
    """

    mean: np.ndarray
    pull_back: Callable[[np.ndarray], np.ndarray]
    variance: float
    slope: np.ndarray


class KnownGain(NamedTuple):
    """Name the control whose effect needs no learning: a plain gain at the end of the chain.

    Parameters
    ----------
    control : int
    travel : float64 [K]
        What its whole travel adds to the outputs.
    """

    control: int
    travel: np.ndarray


class Surrogate:
    """Learn from settings and their styles; predict the styles of others.

    Parameters
    ----------
    controls : int
    gain : KnownGain, optional
        Not learned but counted; the process learns what is left of the styles without it.

    Attributes
    ----------
    foretold : Foretold or None
        What impulses say of all settings; may be set at any time. Where it is nearer to the styles seen than the style
        at its anchor is, the process learns what it leaves.
    led : Foretold or None
        The same, where the last fit found that it helps.
    """

    def __init__(self, controls: int, gain: KnownGain | None = None) -> None:
        self.controls, self.gain = controls, gain
        self.foretold: Foretold | None = None
        self.led: Foretold | None = None
        each = np.ones(controls)
        # Logarithms of: linear variances [P], lengths [P], variance of the squared exponential, noise.
        self._prior = np.log(np.concatenate([LINEAR * each, LENGTH * each, [CURVED, NOISE]]))
        self._spread = np.concatenate([1.5 * each, 0.7 * each, [1.5, 1.5]])
        self._theta = self._prior.copy()

    def fit(self, points: np.ndarray, styles: np.ndarray, steps: int = 25) -> None:
        """Learn; the kernel starts where the last fit left it.

        Parameters
        ----------
        points : float64 [N, P]
        styles : float64 [N, K]
        steps : int >= 0
            Of fitting the kernel; 0 keeps it.
        """
        if self.gain is not None:
            styles = styles - (points[:, self.gain.control, None] - 0.5) * self.gain.travel
        points = self._without_gain(points)
        self.led = self._helps(points, styles)
        if self.led is not None:
            styles = styles - self.led.styles(points)
        self._points, self._mean = points, styles.mean(axis=0)
        centred = styles - self._mean
        self._scale = max(float(np.sqrt(np.mean(centred**2))), 1e-6)
        if steps:
            gram = centred @ centred.T * (OUTPUTS / (self._scale**2 * styles.shape[1]))
            squares = (points[:, None] - points[None]) ** 2
            found = optimize.minimize(
                self._misfit,
                self._theta,
                (squares, gram),
                jac=True,
                method="L-BFGS-B",
                bounds=list(zip(self._prior - FAR, self._prior + FAR, strict=True)),
                options={"maxiter": steps},
            )
            self._theta = found.x
        linear, lengths, curved, noise = self._unpack(self._theta)
        x = points - 0.5
        squares = ((points[:, None] - points[None]) / lengths) ** 2
        kernel = CONSTANT + (x * linear) @ x.T + curved * np.exp(-0.5 * squares.sum(-1))
        self._factor = linalg.cho_factor(kernel + (noise + JITTER) * np.eye(len(points)), lower=True)
        self._weights = linalg.cho_solve(self._factor, centred)

    def predict(self, point: np.ndarray) -> Prediction:
        """Predict the style of one setting, float64 [P]."""
        if self.gain is None:
            return self._predict(point)
        control, travel = self.gain
        rest = self._predict(self._without_gain(point))

        def pull_back(row: np.ndarray) -> np.ndarray:
            pulled = rest.pull_back(row)
            pulled[control] = row @ travel
            return pulled

        slope = rest.slope.copy()
        slope[control] = 0.0
        mean = rest.mean + (point[control] - 0.5) * travel
        return Prediction(mean=mean, pull_back=pull_back, variance=rest.variance, slope=slope)

    def _helps(self, points: np.ndarray, styles: np.ndarray) -> Foretold | None:
        """Give what was foretold, unless what was heard says that it leads away."""
        if self.foretold is None or len(points) < 2:
            return self.foretold
        anchor = int(np.abs(points - self._without_gain(self.foretold.anchor)).max(axis=1).argmin())
        # Where the anchor itself lies, both are right.
        left = styles - self.foretold.styles(points)
        left -= left[anchor]
        return self.foretold if np.sum(left**2) < np.sum((styles - styles[anchor]) ** 2) else None

    def _without_gain(self, points: np.ndarray) -> np.ndarray:
        if self.gain is None:
            return points
        points = points.copy()
        points[..., self.gain.control] = 0.5
        return points

    def _predict(self, point: np.ndarray) -> Prediction:
        linear, lengths, curved, _ = self._unpack(self._theta)
        x, seen = point - 0.5, self._points - 0.5
        gap = (point - self._points) / lengths
        bell = curved * np.exp(-0.5 * (gap**2).sum(-1))
        covariance = CONSTANT + seen @ (linear * x) + bell
        slopes = seen * linear - bell[:, None] * gap / lengths
        solved = linalg.cho_solve(self._factor, covariance, check_finite=False)
        variance = CONSTANT + x @ (linear * x) + curved - covariance @ solved
        power, led = self._scale**2, self.led
        mean = self._mean + covariance @ self._weights

        def pull_back(row: np.ndarray) -> np.ndarray:
            # The Jacobian [K, P] itself would cost P times as much.
            learned = slopes.T @ (self._weights @ row)
            return learned if led is None else learned + led.pull_back(point, row)

        return Prediction(
            mean=mean if led is None else mean + led.styles(point[None])[0],
            pull_back=pull_back,
            variance=power * max(float(variance), 0.0),
            slope=power * 2.0 * (linear * x - slopes.T @ solved),
        )

    def _unpack(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray, float, float]:
        plain, count = np.exp(theta), self.controls
        return plain[:count], plain[count : 2 * count], float(plain[-2]), float(plain[-1])

    def _misfit(self, theta: np.ndarray, squares: np.ndarray, gram: np.ndarray) -> tuple[float, np.ndarray]:
        """Negative logarithm of the kernel's posterior, and its gradient."""
        linear, lengths, curved, noise = self._unpack(theta)
        count, x, eye = self.controls, self._points - 0.5, np.eye(len(self._points))
        bell = curved * np.exp(-0.5 * (squares @ (1.0 / lengths**2)))
        try:
            factor = linalg.cho_factor(CONSTANT + (x * linear) @ x.T + bell + (noise + JITTER) * eye, lower=True)
        except linalg.LinAlgError:
            return 1e10, np.zeros_like(theta)
        inverse: np.ndarray = np.asarray(linalg.cho_solve(factor, eye))
        slope = 0.5 * (OUTPUTS * inverse - inverse @ gram @ inverse)
        away = (theta - self._prior) / self._spread
        gradient = away / self._spread
        gradient[:count] += linear * np.einsum("ip,ij,jp->p", x, slope, x, optimize=True)
        gradient[count : 2 * count] += np.einsum("ij,ijp->p", slope * bell, squares) / lengths**2
        gradient[-2] += np.sum(slope * bell)
        gradient[-1] += noise * np.trace(slope)
        evidence = OUTPUTS * np.log(np.diag(factor[0])).sum() + 0.5 * np.sum(inverse * gram)
        return float(evidence + 0.5 * away @ away), gradient
