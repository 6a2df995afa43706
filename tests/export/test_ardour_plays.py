"""A real Ardour opens our sessions and plays what we rendered."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import soundfile

from blackbox_afx.export import export
from blackbox_afx.export.build import build_session, chain_facts
from blackbox_afx.export.lv2_ports import lv2_ports
from blackbox_afx.export.thin import difference_db
from blackbox_afx.export.vst2_id import vst2_unique_id
from blackbox_afx.plugins.chain import ChainSpec
from blackbox_afx.plugins.pedalboard import open_vst3
from blackbox_afx.plugins.probe import probe
from blackbox_afx.testing.ardour import PERIOD, PREROLL, ArdourBench, ArdourError, is_dry, render_on_grid
from blackbox_afx.testing.exporters import AWKWARD
from tests.export.real_sessions import VST3, Case, make_case

pytestmark = [pytest.mark.zam, pytest.mark.ardour, pytest.mark.slow]

CHAINS = (("ZamEQ2",), ("ZamCompX2",), ("ZamEQ2", "ZamCompX2"))


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> ArdourBench:
    made = ArdourBench(tmp_path_factory.mktemp("ardour"))
    made.scan(VST3 / f"{name}.vst3" for name in ("ZamEQ2", "ZamCompX2", "ZaMaximX2"))
    return made


def play(
    bench: ArdourBench, case: Case, folder: Path, expected: np.ndarray, *, limit_db: float = -70, **options: object
) -> np.ndarray:
    made = export(case.session, "ardour", folder / "session", **options)
    assert not made.warnings
    played = bench.export(made.path, case.audio.shape[1], dry=case.trimmed, expected=expected, limit_db=limit_db)
    assert played.sample_rate == case.sample_rate
    return played.audio


def worst_db(played: np.ndarray, ours: np.ndarray) -> float:
    return max(difference_db(side, ours[min(k, len(ours) - 1)]) for k, side in enumerate(played))


@pytest.mark.parametrize(
    ("names", "sample_rate", "channels"),
    list(itertools.product(CHAINS, (44100, 48000), (1, 2))),
    ids=lambda value: "+".join(value) if isinstance(value, tuple) else str(value),
)
def test_ardour_plays_what_we_rendered(
    bench: ArdourBench, tmp_path: Path, names: tuple[str, ...], sample_rate: int, channels: int
) -> None:
    """Three moving lanes a plugin, dual mono and doubled mono among them: below -120 dB on Ardour's block grid."""
    case = make_case(tmp_path, names, sample_rate=sample_rate, channels=channels)
    assert sum(lane is not None for lane in case.lanes.lanes) == 3 * len(names)
    ours = render_on_grid(case.spec, case.trimmed, case.lanes.trajectory, sample_rate)
    # What Ardour damaged is started again, also where little is damaged; what we got wrong comes out wrong each time.
    played = play(bench, case, tmp_path, ours, limit_db=-120)
    assert worst_db(played, ours) < -120
    # On another grid it is what the documentation says: the DAW's own dependence on its block size.
    assert -60 < worst_db(played, case.render) < -15


def test_static_settings_null_on_any_grid(bench: ArdourBench, tmp_path: Path) -> None:
    """Without lanes our own render, at its own block size, is what Ardour plays."""
    case = make_case(tmp_path, ("ZamEQ2", "ZamCompX2"), channels=2, static=True)
    assert all(lane is None for lane in case.lanes.lanes)
    assert worst_db(play(bench, case, tmp_path, case.render, limit_db=-130), case.render) < -130


def test_a_latent_plugin_hears_its_lanes_when_ours_did(bench: ArdourBench, tmp_path: Path) -> None:
    """480 samples of look-ahead: below -70 dB with moved lanes, far from it with lanes as they are."""
    case = make_case(tmp_path, ("ZaMaximX2",), channels=2)
    ours = render_on_grid(case.spec, case.trimmed, case.lanes.trajectory, case.sample_rate)
    assert worst_db(play(bench, case, tmp_path, ours), ours) < -70
    made = export(case.session, "ardour", tmp_path / "still", latency="none")
    assert worst_db(bench.export(made.path, case.audio.shape[1]).audio, ours) > -50


def test_latency_inside_a_chain(bench: ArdourBench, tmp_path: Path) -> None:
    """A latent plugin between two others: each one's lanes are in time."""
    case = make_case(tmp_path, ("ZamEQ2", "ZaMaximX2", "ZamCompX2"), channels=2, seconds=4.0)
    ours = render_on_grid(case.spec, case.trimmed, case.lanes.trajectory, case.sample_rate)
    assert worst_db(play(bench, case, tmp_path, ours), ours) < -70


def test_the_lv2_twin_plays_the_same(bench: ArdourBench, tmp_path: Path) -> None:
    """Ardour cuts an LV2's cycle at every point and holds its values in between: so does the VST3 by hand."""
    case = make_case(tmp_path, ("ZamEQ2",))
    uri = "urn:zamaudio:ZamEQ2"
    ports = lv2_ports(uri)
    symbols = {port.name: port.symbol for port in ports}
    track = case.session.tracks[0]
    plugin = track.plugins[0]
    kept = [value for value in plugin.values if value.name in symbols]
    assert len(kept) == len(plugin.values)
    twin = msgspec.structs.replace(
        plugin,
        format="lv2",
        uri=uri,
        class_id="",
        state=None,
        table=ports,
        values=tuple(msgspec.structs.replace(value, symbol=symbols[value.name], param_id=None) for value in kept),
    )
    track = msgspec.structs.replace(track, plugins=(twin,))
    session = msgspec.structs.replace(case.session, tracks=(track,))
    made = export(session, "ardour", tmp_path / "lv2")
    ours = _cut_at_points(case)
    played = bench.export(made.path, case.audio.shape[1], dry=case.trimmed, expected=ours, limit_db=-110)
    assert worst_db(played.audio, ours) < -110


def test_the_vst2_twin_plays_the_same(bench: ArdourBench, tmp_path: Path) -> None:
    """A VST2 knows raw values only, and is cut at every point as an LV2 is."""
    case = make_case(tmp_path, ("ZamEQ2",))
    file = Path("/usr/lib/vst/ZamEQ2-vst.so")
    bench.scan([file])
    track = case.session.tracks[0]
    plugin = track.plugins[0]
    # DPF counts only real parameters in VST2: its numbers are its VST3's from the first control on.
    first = min(value.index for value in plugin.values)

    def moved(entry: Any) -> Any:
        field = "index" if hasattr(entry, "index") else "control"
        return msgspec.structs.replace(entry, **{field: getattr(entry, field) - first})

    twin = msgspec.structs.replace(
        plugin,
        format="vst2",
        unique_id=vst2_unique_id(file),
        class_id="",
        state=None,
        table=(),
        values=tuple(map(moved, plugin.values)),
        lanes=tuple(map(moved, plugin.lanes)),
    )
    session = msgspec.structs.replace(case.session, tracks=(msgspec.structs.replace(track, plugins=(twin,)),))
    made = export(session, "ardour", tmp_path / "vst2")
    ours = _cut_at_points(case)
    played = bench.export(made.path, case.audio.shape[1], dry=case.trimmed, expected=ours, limit_db=-110)
    assert worst_db(played.audio, ours) < -110


@pytest.mark.parametrize("token", ["urn:zamaudio:ZamEQ2", "/usr/lib/vst/ZamEQ2-vst.so"])
def test_what_dawdreamer_rendered_plays_too(bench: ArdourBench, tmp_path: Path, token: str) -> None:
    """Probed, rendered and exported as LV2 and as VST2, static: the other host's sound is Ardour's."""
    profile = probe(token, bases=1).profile
    if profile.identity.format == "vst2":
        bench.scan([token])
    spec = ChainSpec(profiles=(profile,))
    rng = np.random.default_rng(0)
    audio = (0.1 * rng.standard_normal((1, 48000))).astype(np.float32)
    raw = spec.space.to_raw(np.clip(spec.space.defaults + rng.uniform(-0.1, 0.1, len(spec.space)), 0.02, 0.98))
    soundfile.write(tmp_path / "input.wav", audio.T, 48000, subtype="FLOAT")
    with spec.open() as chain:
        ours = chain.render_raw(audio, raw, 48000)
        facts = chain_facts(chain, raw, 48000, 1)
    session = build_session(spec, raw, facts, source=tmp_path / "input.wav")
    made = export(session, "ardour", tmp_path / "session")
    assert not made.warnings
    assert worst_db(bench.export(made.path, 48000, dry=audio, expected=ours, limit_db=-110).audio, ours) < -110


def _cut_at_points(case: Case) -> np.ndarray:
    """Render in pieces that begin at cycles and at lane points, each with the values at its first sample."""
    rate, samples = case.sample_rate, case.audio.shape[1]
    points = np.concatenate([lane[0] for lane in case.lanes.lanes if lane is not None])
    pad = PERIOD  # a whole cycle first: the host sizes its buffers by the longest piece
    cycles = np.arange(-(PERIOD - PREROLL), samples, PERIOD)
    cuts = np.unique(np.concatenate([[-pad], cycles, np.round(points * rate).astype(int), [samples]]))
    cuts = cuts[(cuts >= -pad) & (cuts <= samples)]
    profile = case.spec.profiles[0]
    plugin = open_vst3(profile.identity.file)
    silence = np.zeros((1, pad), np.float32)
    padded = np.concatenate([silence, silence, case.trimmed], axis=1)
    parameters = list(plugin.parameters.values())
    pieces = []
    for start, end in zip([-2 * pad, *cuts[:-1]], cuts, strict=True):
        for control, raw in zip(profile.active, case.lanes.trajectory.at(max(start, 0) / rate), strict=True):
            parameters[control.index].raw_value = float(raw)
        piece = np.ascontiguousarray(padded[:, start + 2 * pad : end + 2 * pad])
        pieces.append(plugin.process(piece, rate, buffer_size=PERIOD, reset=False))
    return np.concatenate(pieces, axis=1)[:, 2 * pad :]


def test_dry_audio_is_caught(tmp_path: Path) -> None:
    """An Ardour that was told of no plugin exports the input as if nothing were wrong; the bench does not take it.

    Its exit status tells nothing of this: it is 0, or now and then that of Ardour's abort on its way out, once the
    file is written.
    """
    case = make_case(tmp_path, ("ZamEQ2",), seconds=0.5)
    made = export(case.session, "ardour", tmp_path / "session")
    unaware = ArdourBench(tmp_path / "bench")
    frames, dry = case.audio.shape[1], case.trimmed
    played = unaware.export(made.path, frames, expected=dry)
    assert is_dry(played.audio, dry)
    with pytest.raises(ArdourError, match="dry input"):
        unaware.export(made.path, frames, dry=dry, expected=dry)


def test_awkward_names_open_and_the_muted_render_nulls(bench: ArdourBench, tmp_path: Path) -> None:
    """Quotes, ampersands, other scripts, emoji in folder, file, track and plugin names; the render track plays too."""
    folder = tmp_path / "Größe Ωλ &amp; '音' 🎛"
    folder.mkdir()
    case = make_case(folder, ("ZamEQ2",), stem="in 'put' &音🎛", seconds=1.0)
    live, ours = case.session.tracks
    plugin = msgspec.structs.replace(live.plugins[0], label=AWKWARD)
    live = msgspec.structs.replace(live, name=AWKWARD, plugins=(plugin,))
    session = msgspec.structs.replace(case.session, tracks=(live, ours))
    made = export(session, "ardour", folder / "sess 🎛 'ion' & co")
    frames = case.audio.shape[1]
    grid = render_on_grid(case.spec, case.trimmed, case.lanes.trajectory, case.sample_rate)
    assert worst_db(bench.export(made.path, frames, dry=case.trimmed, expected=grid).audio, grid) < -120
    # The other way round: what sounds when the live track is muted is our render, sample by sample.
    swapped = msgspec.structs.replace(
        session,
        tracks=(msgspec.structs.replace(live, muted=True), msgspec.structs.replace(ours, muted=False)),
    )
    made = export(swapped, "ardour", folder / "render only")
    assert worst_db(bench.export(made.path, frames, expected=case.render).audio, case.render) < -140
