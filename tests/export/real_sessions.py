"""Sessions of real plugins: profiles read from the binaries, noise as audio, lanes that move all the time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np
import soundfile

from blackbox_afx.export.build import build_session, chain_facts
from blackbox_afx.export.thin import ThinLanes, thin_trajectory
from blackbox_afx.plugins.chain import ChainSpec
from blackbox_afx.plugins.control import Control
from blackbox_afx.plugins.profile import Identity, Meter, Profile
from blackbox_afx.plugins.trajectory import Trajectory
from blackbox_afx.plugins.vst3 import read_vst3
from blackbox_afx.session import Session

VST3 = Path("/usr/lib/vst3")

MOVES: Mapping[str, Mapping[str, tuple[float, float]]] = {
    "ZamEQ2": {"Boost/Cut 1": (0.714, 0.1), "Frequency 1": (0.05, 0.03), "Master Gain": (0.5, 0.06)},
    "ZamCompX2": {"Threshold": (0.6, 0.3), "Makeup": (0.1, 0.08), "Ratio": (0.3, 0.2)},
    "ZaMaximX2": {"Threshold": (0.6, 0.3), "Output Ceiling": (0.9, 0.08)},
}
"""Which controls move, around which raw value and how far; all others hold their defaults."""

CHANNELS = {"ZamEQ2": 1, "ZamCompX2": 2, "ZaMaximX2": 2}


def profile_of(name: str) -> Profile:
    """A profile of a Zam VST3, straight from its binary, all automatable controls in use."""
    path = VST3 / f"{name}.vst3"
    entry = read_vst3(path)[0]
    controls, meters = [], []
    for row in entry.parameters:
        if row.program or row.readonly:
            why = "program" if row.program else "meter"
            meters.append(Meter(name=row.title, index=row.index, param_id=row.param_id, why=why))
            continue
        controls.append(
            Control(
                name=row.title,
                index=row.index,
                param_id=row.param_id,
                unit=row.units,
                minimum=row.plain_minimum,
                maximum=row.plain_maximum,
                default=row.plain_minimum + row.default * (row.plain_maximum - row.plain_minimum),
                steps=row.steps,
                texts=row.texts,
                plugin_minimum=row.plain_minimum,
                plugin_maximum=row.plain_maximum,
                automatable=row.automatable,
                use=row.automatable,
            )
        )
    return Profile(
        name=name.lower(),
        identity=Identity(
            format="vst3",
            file=str(path),
            plugin_name=entry.name,
            class_id=entry.class_id,
            vendor=entry.vendor,
            version=entry.version,
        ),
        channels=CHANNELS[name],
        controls=tuple(controls),
        meters=tuple(meters),
    )


class Case(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What was rendered, and the session of it."""

    spec: ChainSpec
    lanes: ThinLanes
    audio: np.ndarray
    sample_rate: int
    gain: np.float32
    session: Session
    render: np.ndarray

    @property
    def trimmed(self) -> np.ndarray:
        """The input as the first plugin gets it."""
        return self.audio * self.gain


def moving(spec: ChainSpec, end_s: float, *, every_s: float = 0.15) -> Trajectory:
    """Move the controls of `MOVES` along sines; all others hold their defaults."""
    times = np.arange(0, end_s + every_s, every_s)
    raw = np.repeat(spec.space.to_raw(spec.space.defaults)[None], len(times), axis=0)
    for k, name in enumerate(spec.names):
        label, control = name.split(": ", 1)
        centre, depth = MOVES[label.split(" ")[0]].get(control, (None, None))
        if centre is not None and depth is not None:
            raw[:, k] = np.clip(centre + depth * np.sin(9 * times / end_s + k), 0, 1)
    return Trajectory(times=times, raw=raw)


def make_case(
    folder: Path,
    names: Sequence[str],
    *,
    sample_rate: int = 48000,
    channels: int = 1,
    seconds: float = 2.0,
    static: bool = False,
    trim_db: float = -3.0,
    stem: str = "input",
) -> Case:
    """Render noise through a chain along moving lanes, and make its session."""
    spec = ChainSpec(profiles=tuple(profile_of(name) for name in names))
    rng = np.random.default_rng(3)
    samples = round(sample_rate * seconds) + 137
    swell = 0.3 + 0.7 * (np.sin(2 * np.pi * 1.5 * np.arange(samples) / sample_rate) > 0)
    audio = (0.15 * swell * rng.standard_normal((channels, samples))).astype(np.float32)
    end_s = samples / sample_rate
    trajectory = moving(spec, end_s)
    if static:
        trajectory = Trajectory.constant(trajectory.raw[1])
    lanes = thin_trajectory(trajectory, end_s)
    gain = np.float32(10 ** (trim_db / 20))
    with spec.open() as chain:
        facts = chain_facts(chain, lanes.start, sample_rate, channels)
        render = chain.render_raw(audio * gain, lanes.trajectory, sample_rate)
    soundfile.write(folder / f"{stem}.wav", audio.T, sample_rate, subtype="FLOAT")
    soundfile.write(folder / f"{stem}.out.wav", render.T, sample_rate, subtype="FLOAT")
    session = build_session(
        spec,
        lanes,
        facts,
        source=folder / f"{stem}.wav",
        render=folder / f"{stem}.out.wav",
        trim_db=trim_db,
    )
    return Case(spec=spec, lanes=lanes, audio=audio, sample_rate=sample_rate, gain=gain, session=session, render=render)
