"""Read a VST3's identity and parameters straight from its binary, in a process that may crash.

Neither plugin host tells a class id or a parameter id, and presets, projects and automation lanes need both.

Conventions: raw values are the plugin's normalised 0 to 1, plain values are in the parameter's unit.
`read_vst3` runs ``python -m blackbox_afx.plugins.vst3 PATH``, which answers on standard output in JSON (with
Python's ``Infinity`` and ``NaN``, since decibel scales do end at minus infinity).

References
----------
Steinberg, VST 3 Developer Portal, "Parameters and Automation".
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import msgspec

from blackbox_afx.errors import PluginCrash, PluginError, PluginHang
from blackbox_afx.plugins import vst3_com as com
from blackbox_afx.plugins.throwaway import child_environment, kill_group, status_name
from blackbox_afx.plugins.vst3_bundle import AUDIO_CLASS, binary_path, bundle_root

# Nine points tell a straight map from a logarithmic or a square one.
PLAIN_POINTS = tuple(index / 8 for index in range(9))

# A parameter with more steps than this is a number, not a list of choices, and its texts would only be long.
MAXIMUM_TEXT_STEPS = 128


class Vst3Parameter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One parameter as the plugin describes it.

    Attributes
    ----------
    index : int
        Place in the plugin's list; hosts count the same way.
    param_id : int
        What automation and presets call it, 0 to 2**32 - 1; only some frameworks use the index.
    title, short_title, units : str
        As shown to users; the last two are often empty.
    steps : int
        0 for a continuous parameter, 1 for a toggle, N - 1 for N choices.
    default : float
        Raw value.
    unit_id : int
        Group in the plugin's tree of units; 0 is the root.
    automatable, readonly, hidden, program, bypass, is_list : bool
        The plugin's flags. Meters are readonly; a program parameter picks a preset.
    plain_minimum, plain_maximum : float
        Plain values at raw 0 and raw 1, in `units`; the first may be the larger one.
    plain_samples : tuple of (float, float)
        (raw, plain) at raw 0, 1/8, ... 1.
    texts : tuple of str
        What the plugin shows at each step, `steps` + 1 of them; empty where continuous or past 128 steps.
    """

    index: int
    param_id: int
    title: str
    short_title: str
    units: str
    steps: int
    default: float
    unit_id: int
    automatable: bool
    readonly: bool
    hidden: bool
    program: bool
    bypass: bool
    is_list: bool
    plain_minimum: float
    plain_maximum: float
    plain_samples: tuple[tuple[float, float], ...]
    texts: tuple[str, ...] = ()


class Vst3Class(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One audio plugin in a bundle.

    Attributes
    ----------
    name, vendor, version : str
        As shown to users; vendor and version are empty in bundles of the oldest SDKs.
    class_id : str
        32 upper-case hexadecimal digits, in the order that presets use on every system.
    sub_categories : str
        For example ``Fx|EQ|Mono``.
    sdk_version : str
        What the plugin was built with.
    parameters : tuple of Vst3Parameter
        In the plugin's order, hidden and readonly ones among them.
    """

    name: str
    class_id: str
    vendor: str
    version: str
    sub_categories: str
    sdk_version: str
    parameters: tuple[Vst3Parameter, ...]


def read_vst3(path: Path | str, *, timeout_s: float = 10.0) -> tuple[Vst3Class, ...]:
    """Read every audio plugin in a VST3, in a throw-away process.

    Parameters
    ----------
    path : Path or str
        A bundle, or a single-file VST3.
    timeout_s : float > 0
        Limit for the whole process, Python's own start included, in seconds.

    Returns
    -------
    tuple of Vst3Class
        At least one, in the bundle's order.

    Raises
    ------
    PluginError
        There is no such file, it is not a VST3 for this machine, or the plugin refuses to start.
    PluginCrash
        The plugin ended the process; the message names the signal.
    PluginHang
        It did not answer in time.

    Notes
    -----
    Current values are not read, only defaults: what a plugin holds after loading may differ from both.
    What was read of a binary is kept while this process lives and the file does not change.
    """
    path = Path(path)
    about = binary_path(path).stat()  # a wrong path is said at once, without a process
    key = (str(path.absolute()), about.st_mtime_ns, about.st_size)
    if key not in _known:
        _known[key] = _read_in_child(path, timeout_s)
    return _known[key]


_known: dict[tuple[str, int, int], tuple[Vst3Class, ...]] = {}


def _read_in_child(path: Path, timeout_s: float) -> tuple[Vst3Class, ...]:
    # Files, not pipes: a helper that a plugin starts and leaves behind would keep a pipe open for ever.
    with tempfile.TemporaryFile() as answer, tempfile.TemporaryFile() as noise:
        status = _run_child(path, answer, noise, timeout_s)
        answer.seek(0)
        noise.seek(0)
        lines = noise.read().decode("utf-8", "replace").strip().splitlines()
        last_words = f"; its last words: {lines[-1].strip()}" if lines else ""
        if status is None:
            raise PluginHang(
                f"{path}: no answer within {timeout_s:g} s of loading it; leave it out, or give it more time"
            )
        if status != 0:
            raise PluginCrash(
                f"{path}: the plugin crashed as it was loaded ({status_name(status)}{last_words}); "
                "leave it out, or update or reinstall it"
            )
        try:
            reply = json.loads(answer.read())
        except ValueError as error:
            raise PluginCrash(
                f"{path}: the plugin ended the process it was loaded in{last_words}; "
                "leave it out, or update or reinstall it"
            ) from error
    if "error" in reply:
        raise PluginError(reply["error"])
    return msgspec.convert(reply["classes"], tuple[Vst3Class, ...])


def _run_child(path: Path, answer: IO[bytes], noise: IO[bytes], timeout_s: float) -> int | None:
    """Run the reader on `path`; give its exit status, None where it ran out of time."""
    process = subprocess.Popen(
        [sys.executable, "-m", "blackbox_afx.plugins.vst3", str(path)],
        stdin=subprocess.DEVNULL,
        stdout=answer,
        stderr=noise,
        env=child_environment(),
        start_new_session=True,
    )
    try:
        return process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        return None
    finally:
        kill_group(process)


def single_class(classes: Sequence[Vst3Class], name: str | None = None) -> Vst3Class:
    """Pick one plugin of a bundle.

    Parameters
    ----------
    classes : sequence of Vst3Class
        What `read_vst3` gave.
    name : str or None
        The plugin's name or class id; None where there is only one.

    Raises
    ------
    PluginError
        There is none, there are several and no name was given, or none or several go by that name.
    """
    names = ", ".join(entry.name for entry in classes)
    if not classes:
        raise PluginError("the bundle holds no audio plugin; give another path")
    if name is None:
        if len(classes) > 1:
            raise PluginError(f"the bundle holds {len(classes)} plugins and no name was given; name one of: {names}")
        return classes[0]
    found = [entry for entry in classes if name in (entry.name, entry.class_id)]
    if not found:
        raise PluginError(f"no plugin in the bundle is called {name!r}; name one of: {names}")
    if len(found) > 1:
        ids = ", ".join(entry.class_id for entry in found)
        raise PluginError(f"{len(found)} plugins in the bundle are called {name!r}; give a class id instead: {ids}")
    return found[0]


def _load_classes(path: Path, host: com.HostContext) -> tuple[Vst3Class, ...]:
    """Read every audio plugin in this process; only the child may call it."""
    binary = binary_path(path)
    factory = com.open_module(binary, path if path.is_dir() else bundle_root(binary))
    newest = factory.query(com.FACTORY_3)
    newer = newest or factory.query(com.FACTORY_2)
    if newest is not None:
        newest.status(com.SET_HOST_CONTEXT, host.argument())
    classes = []
    for index in range(factory.call(com.COUNT_CLASSES, ctypes.c_int32)):
        info = _class_info(index, factory, newer, newest)
        if info is None or com.text(info.category) != AUDIO_CLASS:
            continue
        details = {
            field: com.text(getattr(info, field, b""))
            for field in ("name", "vendor", "version", "sub_categories", "sdk_version")
        }
        class_id = bytes(info.class_id)
        controller = _controller(path, details["name"], factory, class_id, host)
        count = controller.call(com.PARAMETER_COUNT, ctypes.c_int32)
        parameters = tuple(_parameter(path, controller, place) for place in range(count))
        classes.append(Vst3Class(class_id=com.guid_hex(class_id), parameters=parameters, **details))
    if not classes:
        raise PluginError(f"{path}: the VST3 holds no audio plugin; give another path")
    return tuple(classes)


def _class_info(
    index: int, factory: com.Interface, newer: com.Interface | None, newest: com.Interface | None
) -> Any | None:
    """Ask for a class in the richest form that the factory answers to."""
    attempts = (
        (newest, com.CLASS_INFO_UNICODE, com.ClassInfoUnicode),
        (newer, com.CLASS_INFO_2, com.ClassInfo2),
        (factory, com.CLASS_INFO, com.ClassInfo),
    )
    for interface, slot, structure in attempts:
        if interface is not None:
            info = structure()
            if interface.status(slot, ctypes.c_int32(index), com.pointer(info)) == com.OK:
                return info
    return None


def _controller(path: Path, name: str, factory: com.Interface, class_id: bytes, host: com.HostContext) -> com.Interface:
    """Start a plugin and give the half of it that knows the parameters."""
    component = factory.create(class_id, com.COMPONENT)
    if component is None or component.status(com.INITIALIZE, host.argument()) != com.OK:
        raise PluginError(f"{path}: {name} refuses to start; it may need a licence or other files")
    controller = component.query(com.EDIT_CONTROLLER)
    if controller is not None:
        return controller  # both halves are one object, which has been initialised
    controller_id = com.ClassId()
    if component.status(com.CONTROLLER_CLASS_ID, com.pointer(controller_id)) == com.OK:
        controller = factory.create(bytes(controller_id), com.EDIT_CONTROLLER)
    if controller is None or controller.status(com.INITIALIZE, host.argument()) != com.OK:
        raise PluginError(f"{path}: {name} gives no edit controller, so its parameters can't be read; update it")
    # Some frameworks fill the controller's list only when it meets its component.
    ends = component.query(com.CONNECTION_POINT), controller.query(com.CONNECTION_POINT)
    if ends[0] is not None and ends[1] is not None:
        ends[0].status(com.CONNECT, ctypes.c_void_p(ends[1].address))
        ends[1].status(com.CONNECT, ctypes.c_void_p(ends[0].address))
    return controller


def _parameter(path: Path, controller: com.Interface, index: int) -> Vst3Parameter:
    info = com.ParameterInfo()
    if controller.status(com.PARAMETER_INFO, ctypes.c_int32(index), com.pointer(info)) != com.OK:
        raise PluginError(f"{path}: the plugin does not describe its parameter {index}; update it")
    identifier = ctypes.c_uint32(info.id)
    samples = tuple(
        (raw, controller.call(com.PLAIN_OF_VALUE, ctypes.c_double, identifier, ctypes.c_double(raw)))
        for raw in PLAIN_POINTS
    )
    texts = []
    if 1 <= info.steps <= MAXIMUM_TEXT_STEPS:
        for step in range(info.steps + 1):
            shown = com.String128()
            value = ctypes.c_double(step / info.steps)
            controller.status(com.TEXT_OF_VALUE, identifier, value, com.pointer(shown))
            texts.append(com.text(shown))
    return Vst3Parameter(
        index=index,
        param_id=info.id,
        title=com.text(info.title),
        short_title=com.text(info.short_title),
        units=com.text(info.units),
        steps=info.steps,
        default=info.default,
        unit_id=info.unit_id,
        automatable=bool(info.flags & 1),
        readonly=bool(info.flags & 1 << 1),
        is_list=bool(info.flags & 1 << 3),
        hidden=bool(info.flags & 1 << 4),
        program=bool(info.flags & 1 << 15),
        bypass=bool(info.flags & 1 << 16),
        plain_minimum=samples[0][1],
        plain_maximum=samples[-1][1],
        plain_samples=samples,
        texts=tuple(texts),
    )


def _answer(path: Path) -> None:
    """Load `path`, write the answer to standard output and end the process at once."""
    # A plugin may print; only the private copy reaches the reader.
    private = os.dup(1)
    os.dup2(2, 1)
    host = com.HostContext()  # held here, as plugins may call it until the process ends
    try:
        reply = {"classes": msgspec.to_builtins(_load_classes(path, host))}
    except PluginError as error:
        reply = {"error": str(error)}
    with os.fdopen(private, "w", encoding="utf-8") as out:
        json.dump(reply, out)
    # Plugins' own destructors are where many of them crash.
    os._exit(0)


if __name__ == "__main__":
    _answer(Path(sys.argv[1]))
