"""What tests of trainings share."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch


@pytest.fixture
def cores(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], None]]:
    """Let a test say how many cores the machine has to choose threads for; torch's own number is put back."""
    before = torch.get_num_threads()
    yield lambda count: monkeypatch.setattr("blackbox_afx.train.threads.joblib.cpu_count", lambda: count)
    torch.set_num_threads(before)
