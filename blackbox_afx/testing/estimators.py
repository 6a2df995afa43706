"""The conformance suite of estimators: what every rule behind the ask/tell protocol must do.

The black box of the suite is a linear function of the positions, whose gradient is known and the same
everywhere, so what comes back can be compared without any tolerance for curvature.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from blackbox_afx.grads.protocol import Estimator

SIGMAS = 5.0
"""How many standard errors the mean of many estimates may lie from the truth."""

ROUNDING = 1e-6
"""Relative error that float64 differences over steps of about 1e-2 may show."""


def check_estimator(
    estimator: Estimator,
    *,
    exact: bool = False,
    unbiased: bool = True,
    guided: bool = False,
    controls: Sequence[int] = (1, 2, 5, 9),
    draws: int = 2000,
    seed: int = 0,
) -> None:
    """Check an estimator against the protocol; return if it conforms.

    Parameters
    ----------
    estimator : Estimator
    exact : bool
        It promises the gradient of a linear function from every single draw.
    unbiased : bool
        It promises that gradient on average, from one ask and tell without a past.
        If not, its mean need only point uphill.
    guided : bool
        It needs a guide; it is given the truth with noise added.
    controls : sequence of int > 0
        Numbers of controls to try.
    draws : int
        Estimates in a mean.
    seed : int

    Raises
    ------
    AssertionError
        With what was expected, at the first thing that does not hold.

    Examples
    --------
    >>> from blackbox_afx.grads import make_estimator
    >>> check_estimator(make_estimator("differences"), exact=True, draws=10)
    """
    for number in controls:
        case = _Case(estimator, number, guided, seed)
        _check_shapes_and_purity(case)
        _check_box_and_stillness(case)
        _check_failures(case)
        _check_homogeneity(case)
        for where in ("inside", "walls", "grid"):
            _check_linear(case, where, exact, unbiased, draws)


class _Case:
    """One estimator, one linear function and the calls on both."""

    def __init__(self, estimator: Estimator, controls: int, guided: bool, seed: int) -> None:
        self.estimator, self.controls, self.guided, self.seed = estimator, controls, guided, seed
        rng = np.random.default_rng(seed)
        self.truth = rng.normal(size=controls) + 0.5
        self.steps = rng.uniform(0.005, 0.02, size=controls)
        self.name = f"{estimator!r} with {controls} controls"

    def positions(self, batch: int) -> np.ndarray:
        return np.random.default_rng(self.seed + 1).uniform(0.1, 0.9, size=(batch, self.controls))

    def guide(self, batch: int) -> np.ndarray | None:
        if not self.guided:
            return None
        noise = np.random.default_rng(self.seed + 2).normal(size=(batch, self.controls))
        return self.truth + 0.3 * noise

    def ask(self, positions: np.ndarray, steps: np.ndarray | None = None) -> tuple[np.ndarray, Any]:
        steps = self.steps if steps is None else steps
        rng = np.random.default_rng(self.seed + 3)
        return self.estimator.ask(positions, steps, self.guide(len(positions)), rng, None)

    def tell(
        self, positions: np.ndarray, points: np.ndarray, responses: np.ndarray, state: Any, scale: float = 1.0
    ) -> tuple[np.ndarray, Any]:
        base = scale * self.respond(positions)
        return self.estimator.tell(points, responses, base, self.guide(len(points)), state)

    def respond(self, points: np.ndarray) -> np.ndarray:
        return 3.0 + points @ self.truth


def _require(condition: Any, case: _Case, what: str) -> None:
    if not condition:
        raise AssertionError(f"{case.name}: {what}")


def _check_shapes_and_purity(case: _Case) -> None:
    """Shapes and dtypes; the same generator gives the same points; no argument is written to."""
    positions = case.positions(3)
    steps = case.steps.copy()
    before = positions.copy()
    points, state = case.ask(positions, steps)
    again, _ = case.ask(positions, steps)
    expected = (3, points.shape[1] if points.ndim == 3 else "M", case.controls)
    _require(points.shape == expected, case, f"ask gave points of shape {points.shape}, expected {expected}")
    _require(points.dtype == np.float64, case, f"ask gave {points.dtype} points, expected float64")
    _require(np.array_equal(points, again), case, "two asks with the same generator gave different points")
    responses = case.respond(points)
    given = points.copy(), responses.copy()
    gradient, _ = case.tell(positions, points, responses, state)
    other, _ = case.tell(positions, points, responses, case.ask(positions, steps)[1])
    _require(np.array_equal(gradient, other), case, "two tells of the same gave different gradients")
    _require(gradient.shape == (3, case.controls), case, f"tell gave a gradient of shape {gradient.shape}")
    _require(gradient.dtype == np.float64, case, f"tell gave a {gradient.dtype} gradient, expected float64")
    _require(np.isfinite(gradient).all(), case, "tell gave a gradient that is not finite")
    unchanged = np.array_equal(positions, before) and np.array_equal(steps, case.steps)
    unchanged &= np.array_equal(points, given[0]) and np.array_equal(responses, given[1])
    _require(unchanged, case, "ask or tell changed an array it was given, expected pure functions")


def _check_box_and_stillness(case: _Case) -> None:
    """Points stay in the box; a control whose step is NaN never moves and has gradient 0."""
    corners = np.stack([np.zeros(case.controls), np.ones(case.controls), np.full(case.controls, 0.5)])
    for steps in (case.steps, np.full(case.controls, 0.5)):
        points, _ = case.ask(corners, steps)
        _require(np.all((points >= 0.0) & (points <= 1.0)), case, "ask gave points outside the box [0, 1]")
    for still in (np.arange(case.controls) % 2 == 0, np.ones(case.controls, bool)):
        positions = case.positions(3)
        points, state = case.ask(positions, np.where(still, np.nan, case.steps))
        moved = points[:, :, still] != positions[:, None, still]
        _require(not moved.any(), case, "ask moved a control whose step is NaN")
        gradient, _ = case.tell(positions, points, case.respond(points), state)
        _require(np.all(gradient[:, still] == 0.0), case, "a control whose step is NaN has a gradient other than 0")
        _require(np.isfinite(gradient).all(), case, "the gradient is not finite where some steps are NaN")


def _check_failures(case: _Case) -> None:
    """One failed render leaves a finite gradient, a row that lost all is 0; other rows do not notice."""
    positions = case.positions(3)
    points, state = case.ask(positions)
    if points.shape[1] == 0:
        return
    responses = case.respond(points)
    whole, _ = case.tell(positions, points, responses, state)
    for failure in (np.nan, np.inf):
        for lost in range(points.shape[1]):
            one = responses.copy()
            one[1, lost] = failure
            gradient, _ = case.tell(positions, points, one, case.ask(positions)[1])
            _require(
                np.isfinite(gradient).all(),
                case,
                f"one response of {failure} gave a gradient that is not finite",
            )
            same = np.array_equal(gradient[[0, 2]], whole[[0, 2]])
            _require(same, case, "a failed render changed the gradient of another example")
    nothing = responses.copy()
    nothing[1] = np.nan
    gradient, after = case.tell(positions, points, nothing, case.ask(positions)[1])
    _require(np.all(gradient[1] == 0.0), case, "an example that lost every render has a gradient other than 0")
    valid = getattr(after, "valid", None)
    if valid is not None:
        _require(list(valid) == [True, False, True], case, f"valid is {valid}, expected only row 1 to be False")


def _check_homogeneity(case: _Case) -> None:
    """A loss twice as steep has twice the gradient; a flat one has none."""
    if case.guided:
        return
    positions = case.positions(3)
    points, state = case.ask(positions)
    responses = case.respond(points)
    once, _ = case.tell(positions, points, responses, state)
    for factor in (2.0, 0.0):
        scaled, _ = case.tell(positions, points, factor * responses, case.ask(positions)[1], scale=factor)
        _require(
            np.allclose(scaled, factor * once, rtol=1e-9),
            case,
            f"{factor:g} times the responses is not {factor:g} times the gradient",
        )


def _check_linear(case: _Case, where: str, exact: bool, unbiased: bool, draws: int) -> None:
    """Recover the slopes of a linear function: inside the box, at its walls, with points moved to a grid."""
    position = case.positions(1)[0]
    if where == "walls":
        position = np.resize([0.0, 1.0, 0.003, 0.998], case.controls)
    grid = 0.0075  # of the order of the steps, so that what is applied differs from what was meant
    if where == "grid":
        position = np.round(position / grid) * grid
    positions = np.repeat(position[None], draws, axis=0)
    points, state = case.ask(positions, np.maximum(case.steps, grid) if where == "grid" else case.steps)
    if where == "grid":
        points = np.round(points / grid) * grid
    estimates, _ = case.tell(positions, points, case.respond(points), state)
    scale = np.abs(case.truth).max()
    if exact:
        worst = np.abs(estimates - case.truth).max()
        _require(worst < ROUNDING * scale, case, f"a linear function's gradient is off by {worst:.3g} ({where})")
    mean, error = estimates.mean(axis=0), estimates.std(axis=0) / np.sqrt(draws)
    if unbiased:
        off = np.abs(mean - case.truth) - ROUNDING * scale
        shown, expected, within = (np.array2string(v, precision=3) for v in (mean, case.truth, SIGMAS * error))
        _require(
            np.all(off <= SIGMAS * error),
            case,
            f"the mean of {draws} estimates is {shown} ({where}), expected {expected} within {within}",
        )
    else:
        _require(mean @ case.truth > 0.0, case, f"the mean of {draws} estimates points downhill ({where})")
