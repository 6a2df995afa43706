"""Time a training step through a dilated filter, as TCNs have, against PyTorch's own.

Claim: laying samples that are a dilation apart side by side makes forward and backward together faster on a CPU.

    python benchmarks/dilated.py
"""

from __future__ import annotations

import statistics
import time

import torch

from blackbox_afx.networks.tcn import SMALL, dilated

SAMPLES, BATCH, REPEATS = 65536, 6, 7


def step_s(run, x: torch.Tensor) -> float:
    """Give the median seconds of forward and backward."""
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        run(x).sum().backward()
        times.append(time.perf_counter() - began)
    return statistics.median(times[1:])


def main() -> None:
    """Print ratios of one run."""
    torch.set_num_threads(1)
    channels, kernel = SMALL["channels"], SMALL["kernel"]
    x = torch.randn(BATCH, channels, SAMPLES, requires_grad=True)
    for dilation in SMALL["dilations"]:
        conv = torch.nn.Conv1d(channels, channels, kernel, dilation=dilation)
        theirs, ours = step_s(conv, x), step_s(lambda x, conv=conv: dilated(x, conv), x)
        print(
            f"dilation {dilation}: {1e3 * theirs:.0f} ms, side by side {1e3 * ours:.0f} ms: {theirs / ours:.2f} times"
        )


if __name__ == "__main__":
    main()
