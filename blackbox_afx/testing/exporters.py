"""The conformance suite of exporters: what everything that writes sessions must do, whatever its format.

It needs no plugin and no DAW: the example session is made up, down to the preset. Whether a program plays what was
written is for each format's own tests.
"""

from __future__ import annotations

import os
import struct
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from blackbox_afx.audio import write_audio
from blackbox_afx.errors import OutputError, UsageError
from blackbox_afx.export import Exported, Exporter
from blackbox_afx.session import Clip, ControlValue, Lane, Parameter, PluginInstance, Session, Track, decode_session
from blackbox_afx.session import encode_session as encoded

CLASS_ID = "ABCDEF0123456789ABCDEF0123456789"
AWKWARD = "Größe \"Ωλ\" <b>&amp; '音' 🎛"
"""A name that breaks what quotes badly; without characters that file names can't hold on some systems."""


def check_exporter(exporter: Exporter, *, folder: str | os.PathLike[str] | None = None, **options: Any) -> None:
    """Check an exporter against the protocol; return if it conforms.

    Parameters
    ----------
    exporter : Exporter
    folder : path, optional
        Where to try it; a temporary folder by default.
    **options
        Given to every `write`.

    Raises
    ------
    AssertionError
        With what was expected, at the first thing that does not hold.
    """
    if folder is None:
        with tempfile.TemporaryDirectory() as temporary:
            check_exporter(exporter, folder=temporary, **options)
            return
    folder = Path(folder)
    assert isinstance(exporter, Exporter), f"{exporter!r} lacks a name, suffix, formats, experimental or write"
    assert exporter.suffix == "" or exporter.suffix.startswith("."), f"suffix {exporter.suffix!r} has no dot"
    plain = "vst3" if "vst3" in exporter.formats else sorted(exporter.formats)[0]
    made = _check_files(exporter, example_session(folder, format=plain), folder, options)
    assert made.path.exists(), f"{exporter.name}: says it wrote {made.path}, which is not there"
    _check_awkward_names(exporter, plain, folder, options)
    _check_refusals(exporter, plain, folder, options)


def _check_files(exporter: Exporter, session: Session, folder: Path, options: dict[str, Any]) -> Exported:
    """Written once, not again without force, and nothing half-made left."""
    place = folder / "once" / f"example{exporter.suffix}"
    place.parent.mkdir()
    before = encoded(session)
    made = exporter.write(session, place, **options)
    assert isinstance(made, Exported), f"{exporter.name}: write gave {type(made).__name__}, expected Exported"
    for file in made.files or (made.path,):
        assert file.exists(), f"{exporter.name}: lists {file}, which is not there"
    assert encoded(session) == before, f"{exporter.name}: changed the session it was given"
    listed = _contents(place.parent)
    assert not [name for name in listed if name.endswith((".part", ".old"))], f"{exporter.name}: left {listed}"
    content = {name: (place.parent / name).read_bytes() for name in listed}
    try:
        exporter.write(session, place, **options)
    except OutputError:
        pass
    else:
        raise AssertionError(f"{exporter.name}: wrote over {place} without force")
    unchanged = {name: (place.parent / name).read_bytes() for name in _contents(place.parent)}
    assert unchanged == content, f"{exporter.name}: changed what was there, without force"
    again = exporter.write(session, place, force=True, **options)
    assert again.path == made.path, f"{exporter.name}: wrote {again.path} with force, {made.path} without"
    assert _contents(place.parent) == listed, f"{exporter.name}: left other files the second time"
    return made


def _check_awkward_names(exporter: Exporter, format: str, folder: Path, options: dict[str, Any]) -> None:
    """Quotes, ampersands, other scripts and emoji in paths, tracks, plugins and parameters."""
    place = folder / AWKWARD.replace('"', "").replace("<b>", "")
    place.mkdir()
    session = example_session(place, format=format, name=AWKWARD)
    made = exporter.write(session, place / f"{place.name}{exporter.suffix}", **options)
    assert made.path.exists(), f"{exporter.name}: nothing written for names such as {AWKWARD}"


def _check_refusals(exporter: Exporter, format: str, folder: Path, options: dict[str, Any]) -> None:
    """Plugins it can't hold are named; options it does not have are refused; a missing folder is its own fault."""
    session = example_session(folder, format=format)
    for foreign in sorted({"vst3", "vst2", "lv2", "faust", "builtin"} - exporter.formats):
        place = folder / f"foreign-{foreign}{exporter.suffix}"
        odd = example_session(folder, format=foreign)
        try:
            warnings = " ".join(exporter.write(odd, place, **options).warnings)
        except UsageError as error:
            warnings = str(error)
            assert not place.exists(), f"{exporter.name}: refused a {foreign} plugin but wrote {place}"
        label = odd.tracks[0].plugins[0].label
        assert label in warnings, f"{exporter.name}: can't hold {foreign}, but no error or warning names {label}"
    place = folder / f"unknown{exporter.suffix}"
    try:
        exporter.write(session, place, **options, no_such_option=1)
    except UsageError as error:
        said = str(error)
    else:
        raise AssertionError(f"{exporter.name}: takes an option that nobody knows")
    assert "no_such_option" in said, f"{exporter.name}: does not name the option it does not know: {said}"
    blocked = folder / "a-file"
    blocked.write_text("in the way")
    try:
        exporter.write(session, blocked / f"x{exporter.suffix}", **options)
    except OutputError:
        pass
    else:
        raise AssertionError(f"{exporter.name}: wrote into something that is no folder")


def _contents(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def example_session(
    folder: str | os.PathLike[str],
    *,
    format: str = "vst3",
    name: str = "Example",
    channels: int = 1,
    lanes: bool = True,
    latency: int = 0,
) -> Session:
    """Make up a session of one plugin with a ramp, a switch, a held control, and the recordings it names.

    Parameters
    ----------
    folder : path
        Gets ``input.wav`` and ``render.wav``.
    format : {"vst3", "vst2", "lv2", "faust", "builtin"}
    name : str
        Of the session, its track, its plugin and its first control.
    channels : int
    lanes : bool
        Whether anything moves.
    latency : int
        Samples that the plugin claims.

    Returns
    -------
    Session
        Two seconds at 48 kHz, at 120 beats a minute.
    """
    folder = Path(folder)
    rng = np.random.default_rng(1)
    for stem in ("input", "render"):
        audio = (0.1 * rng.standard_normal((channels, 96000))).astype(np.float32)
        write_audio(folder / f"{stem}.wav", audio, 48000, subtype="FLOAT", force=True)
    identified = format == "vst3"
    shared: dict[str, Any] = {"plain_minimum": -20.0, "plain_maximum": 20.0, "unit": "dB"}
    frequency: dict[str, Any] = {"plain_minimum": 20.0, "plain_maximum": 20000.0, "unit": "Hz", "raw_scale": "log"}
    values = (
        ControlValue(index=0, name=name, raw=0.5, plain=0.0, text="0 dB", **shared),
        ControlValue(index=1, name="Frequency", raw=0.0, plain=20.0, text="20 Hz", **frequency),
        ControlValue(index=2, name="On", raw=1.0, plain=1.0, text="on", steps=1, plain_minimum=0, plain_maximum=1),
        ControlValue(index=4, name="Held", raw=0.25, plain=-10.0, text="-10 dB", **shared),
    )
    ids = (7, 2**31 + 5, 9, 3)
    values = tuple(
        msgspec.structs.replace(
            value, param_id=number if identified else None, symbol=f"port{value.index}" if format == "lv2" else ""
        )
        for value, number in zip(values, ids, strict=True)
    )
    moving = (
        Lane(control=0, times=(0.0, 0.75, 2.0), raw=(0.5, 0.75, 0.25), plain=(0.0, 10.0, -10.0)),
        Lane(control=1, times=(0.0, 1.0, 2.0), raw=(0.0, 1.0, 0.5), plain=(20.0, 20000.0, 20.0 * 1000**0.5)),
        Lane(control=2, times=(0.0, 0.5, 2.0), raw=(1.0, 0.0, 0.0), plain=(1.0, 0.0, 0.0), hold=True),
    )
    table = tuple(
        Parameter(index=value.index, param_id=value.param_id, symbol=value.symbol, name=value.name) for value in values
    )
    program = Parameter(index=3, param_id=77 if identified else None, name="Current Program", program=True)
    plugin = PluginInstance(
        format=format,  # type: ignore[arg-type]
        label=name,
        plugin_name=name,
        vendor="Nobody & Sons",
        version="1.2.3",
        class_id=CLASS_ID if identified else "",
        uri="urn:example:plugin" if format == "lv2" else "",
        file={"vst3": "Example.vst3", "vst2": "example.so", "faust": "example.dsp"}.get(format, ""),
        unique_id=0x41424344 if format == "vst2" else None,
        channels=channels,
        latency_samples=latency,
        state=example_preset(CLASS_ID) if identified else None,
        values=values,
        lanes=moving if lanes else (),
        table=tuple(sorted((*table, program), key=lambda row: row.index)),
    )
    clip = Clip(path="input.wav", length_s=2.0, gain_db=-3.0, channels=channels, sample_rate=48000)
    ours = Clip(path="render.wav", length_s=2.0, channels=channels, sample_rate=48000)
    tracks = (
        Track(name=name, clips=(clip,), plugins=(plugin,)),
        Track(name=f"{name} (render)", role="render", muted=True, clips=(ours,)),
    )
    session = Session(name=name, sample_rate=48000, tracks=tracks, made_with="blackbox_afx tests")
    return decode_session(encoded(session), folder=folder.resolve())


def example_preset(class_id: str) -> bytes:
    """Make a ``.vstpreset`` with a component and a controller state of a few bytes."""
    chunks = {b"Comp": b"component state", b"Cont": b"controller state"}
    head = b"VST3" + struct.pack("<i", 1) + class_id.encode("ascii")
    offset = len(head) + 8
    entries = b""
    for kind, content in chunks.items():
        entries += kind + struct.pack("<qq", offset, len(content))
        offset += len(content)
    body = b"".join(chunks.values())
    return head + struct.pack("<q", offset) + body + b"List" + struct.pack("<i", len(chunks)) + entries
