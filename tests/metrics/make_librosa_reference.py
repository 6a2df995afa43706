"""Freeze librosa's mel filters and spectral centroid for test_metrics.py.

Run with librosa 0.11 (no part of this package's environments) from the root of the checkout:
`python tests/metrics/make_librosa_reference.py`.
"""

import json
from pathlib import Path

import librosa
import numpy as np

audio = np.random.default_rng(7).standard_normal(30000).cumsum()
audio = (audio / np.abs(audio).max() * 0.5).astype(np.float32)
out: dict = {"librosa": librosa.__version__, "mel": {}}
for rate in (24000, 44100):
    filters = librosa.filters.mel(sr=rate, n_fft=65536, n_mels=128, dtype=np.float64)
    magnitude = np.abs(np.fft.rfft(np.random.default_rng(8).standard_normal(65536)))
    out["mel"][rate] = (filters @ magnitude).tolist()
spectrum = np.abs(librosa.stft(audio, n_fft=2048, hop_length=512, pad_mode="reflect"))
out["centroid_hz"] = float(librosa.feature.spectral_centroid(S=spectrum, sr=24000).mean())
Path(__file__).with_name("librosa_reference.json").write_text(json.dumps(out) + "\n")
