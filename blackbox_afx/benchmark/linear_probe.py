"""A linear probe: one layer on a frozen embedding, to see what can be read off it.

References
----------
Alain, Bengio, "Understanding intermediate layers using linear classifier probes", ICLR workshop, 2017.
"""

from __future__ import annotations

import msgspec
import numpy as np

RATE = 1e-3
BATCH = 16
EPOCHS = 400


class Split(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Embeddings and classes of one part of the examples.

    Parameters
    ----------
    embeddings : float [examples, dimension]
    classes : int [examples]
        From 0.
    """

    embeddings: np.ndarray
    classes: np.ndarray


def confusion(truth: np.ndarray, guess: np.ndarray, classes: int) -> np.ndarray:
    """Count examples int [classes, classes]: rows what they are, columns what they were taken for."""
    return np.bincount(truth * classes + guess, minlength=classes * classes).reshape(classes, classes)


def mean_f1(counts: np.ndarray) -> float:
    """Average the F1 scores of all classes, from a confusion matrix; a class never met nor guessed counts 0."""
    hits = np.diag(counts).astype(float)
    total = counts.sum(axis=0) + counts.sum(axis=1)
    return float(np.mean(np.divide(2 * hits, total, out=np.zeros_like(hits), where=total > 0)))


def train_probe(train: Split, val: Split, test: Split, *, classes: int, seed: int, epochs: int = EPOCHS) -> np.ndarray:
    """Fit a linear layer, keep its best epoch on the validation part, and test it.

    Parameters
    ----------
    train, val, test : Split
        Of different recordings.
    classes : int
    seed : int
        Of the layer's start and the batches.
    epochs : int > 0

    Returns
    -------
    int [classes, classes]
        Confusion matrix of the test part.

    Notes
    -----
    Each dimension is standardised on the training part, so that units do not decide, and each embedding is then scaled
    to unit length. AdamW, rate 1e-3, batches of 16.
    """
    import torch

    mean = train.embeddings.mean(axis=0)
    deviation = np.maximum(train.embeddings.std(axis=0), 1e-6 * max(1.0, float(np.abs(mean).max())))
    heard = {}
    for name, part in (("train", train), ("val", val), ("test", test)):
        scaled = (part.embeddings - mean) / deviation
        scaled /= np.maximum(np.linalg.norm(scaled, axis=1, keepdims=True), 1e-9)
        heard[name] = torch.from_numpy(scaled.astype(np.float32)), torch.from_numpy(part.classes.astype(np.int64))
    chance = torch.Generator().manual_seed(seed)
    layer = torch.nn.Linear(train.embeddings.shape[1], classes)
    with torch.no_grad():
        bound = train.embeddings.shape[1] ** -0.5
        layer.weight.uniform_(-bound, bound, generator=chance)
        layer.bias.zero_()
    optimiser = torch.optim.AdamW(layer.parameters(), lr=RATE, fused=True)

    def judge(name: str) -> np.ndarray:
        with torch.no_grad():
            guess = layer(heard[name][0]).argmax(dim=1).numpy()
        return confusion(heard[name][1].numpy(), guess, classes)

    inputs, truth = heard["train"]
    best, tested = -1.0, judge("test")
    for _ in range(epochs):
        for some in torch.randperm(len(inputs), generator=chance).split(BATCH):
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(layer(inputs[some]), truth[some]).backward()
            optimiser.step()
        score = mean_f1(judge("val"))
        # Of epochs that are as good, the later has had more time to separate the classes.
        if score >= best:
            best, tested = score, judge("test")
    return tested
