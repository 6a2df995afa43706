"""Array types used in signatures; numpy only (torch's live beside torch code)."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float32

Audio = Float32[np.ndarray, "channels samples"]
"""One recording, full scale at +-1."""

Vector = Float[np.ndarray, "controls"]
"""One value a control."""

Positions = Float[np.ndarray, "*batch controls"]
"""Positions in a ControlSpace, 0 to 1."""

Lanes = Float[np.ndarray, "blocks controls"]
"""Raw values of each control, one row a render block."""
