"""Speak VST3's COM dialect with ctypes: load a module, call its objects, be its host.

Conventions: an interface is a pointer to a pointer to a table of functions; methods are called by their slot
in that table. Slots 0 to 2 are always queryInterface, addRef and release. Call this only where
a crash does no harm.

References
----------
Steinberg, VST 3 Developer Portal, "VST Module Architecture"; interface ids and struct layouts as in the
public VST3 API.
"""

from __future__ import annotations

import ctypes
import os
import platform
import sys
import uuid
from pathlib import Path
from typing import Any

from blackbox_afx.errors import PluginError

WINDOWS = sys.platform == "win32"

HOST_NAME = "blackbox_afx"

# On 32-bit Windows methods are stdcall; everywhere else the C convention is the only one.
METHOD: Any = getattr(ctypes, "WINFUNCTYPE", ctypes.CFUNCTYPE)

OK = 0
NO_INTERFACE = -1 if not WINDOWS else -2147467262  # E_NOINTERFACE
NOT_IMPLEMENTED = 3 if not WINDOWS else -2147467263  # E_NOTIMPL

FUNKNOWN = "00000000-0000-0000-C000-000000000046"
COMPONENT = "E831FF31-F2D5-4301-928E-BBEE25697802"
EDIT_CONTROLLER = "DCD7BBE3-7742-448D-A874-AACC979C759E"
CONNECTION_POINT = "70A4156F-6E6E-4026-9891-48BFAA60D8D1"
FACTORY_2 = "0007B650-F24B-4C0B-A464-EDB9F00B2ABB"
FACTORY_3 = "4555A2AB-C123-4E57-9B12-291036878931"
HOST_APPLICATION = "58E595CC-DB2D-4969-8B6A-AF8C36A664E5"

# IPluginFactory, IPluginFactory2, IPluginFactory3
COUNT_CLASSES, CLASS_INFO, CREATE_INSTANCE, CLASS_INFO_2, CLASS_INFO_UNICODE, SET_HOST_CONTEXT = (
    4,
    5,
    6,
    7,
    8,
    9,
)
# IPluginBase, IComponent, IConnectionPoint
INITIALIZE, CONTROLLER_CLASS_ID, CONNECT = 3, 5, 3
# IEditController
PARAMETER_COUNT, PARAMETER_INFO, TEXT_OF_VALUE, PLAIN_OF_VALUE = 8, 9, 10, 12

ClassId = ctypes.c_uint8 * 16
String64 = ctypes.c_uint16 * 64
String128 = ctypes.c_uint16 * 128


class ClassInfo(ctypes.Structure):
    """PClassInfo."""

    _fields_ = (
        ("class_id", ClassId),
        ("cardinality", ctypes.c_int32),
        ("category", ctypes.c_char * 32),
        ("name", ctypes.c_char * 64),
    )


class ClassInfo2(ctypes.Structure):
    """PClassInfo2."""

    _fields_ = (
        *ClassInfo._fields_,
        ("flags", ctypes.c_uint32),
        ("sub_categories", ctypes.c_char * 128),
        ("vendor", ctypes.c_char * 64),
        ("version", ctypes.c_char * 64),
        ("sdk_version", ctypes.c_char * 64),
    )


class ClassInfoUnicode(ctypes.Structure):
    """PClassInfoW: names in UTF-16, but category and sub-categories in 8 bits."""

    _fields_ = (
        ("class_id", ClassId),
        ("cardinality", ctypes.c_int32),
        ("category", ctypes.c_char * 32),
        ("name", String64),
        ("flags", ctypes.c_uint32),
        ("sub_categories", ctypes.c_char * 128),
        ("vendor", String64),
        ("version", String64),
        ("sdk_version", String64),
    )


class ParameterInfo(ctypes.Structure):
    """ParameterInfo: 792 bytes on every 64-bit system."""

    _fields_ = (
        ("id", ctypes.c_uint32),
        ("title", String128),
        ("short_title", String128),
        ("units", String128),
        ("steps", ctypes.c_int32),
        ("default", ctypes.c_double),
        ("unit_id", ctypes.c_int32),
        ("flags", ctypes.c_int32),
    )


def guid_bytes(guid: str, com: bool = WINDOWS) -> bytes:
    """Lay out an id as it lies in memory.

    Parameters
    ----------
    guid : str
        32 hexadecimal digits, hyphens allowed.
    com : bool
        Whether the first three fields are little-endian, as Windows' COM has them.

    Returns
    -------
    bytes
        16 bytes.
    """
    value = uuid.UUID(guid)
    return value.bytes_le if com else value.bytes


def guid_hex(data: bytes, com: bool = WINDOWS) -> str:
    """Write an id as presets and projects do: 32 upper-case digits, the same on every system.

    Parameters
    ----------
    data : bytes
        16 bytes from memory.
    com : bool
        As in `guid_bytes`.
    """
    value = uuid.UUID(bytes_le=data) if com else uuid.UUID(bytes=data)
    return value.hex.upper()


def text(value: Any) -> str:
    """Decode a fixed-size 8-bit or UTF-16 field up to its first NUL; what is not text becomes U+FFFD."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    encoding = "utf-16-le" if sys.byteorder == "little" else "utf-16-be"
    return bytes(value).decode(encoding, "replace").split("\0", 1)[0]


class Interface:
    """One COM object seen through one of its interfaces.

    Parameters
    ----------
    address : int
        Where the object lies. References are not counted: the process ends before it would matter.
    """

    def __init__(self, address: int) -> None:
        self.address = address

    def call(self, slot: int, result: Any, *arguments: Any) -> Any:
        """Call a method.

        Parameters
        ----------
        slot : int
            Place of the method in the table.
        result : ctypes type or None
            What it returns.
        *arguments : ctypes values
            What it takes after the object itself; their types make the prototype.
        """
        table = ctypes.cast(self.address, ctypes.POINTER(ctypes.POINTER(ctypes.c_void_p))).contents
        prototype = METHOD(result, ctypes.c_void_p, *[type(argument) for argument in arguments])
        return prototype(table[slot])(self.address, *arguments)

    def status(self, slot: int, *arguments: Any) -> int:
        """Call a method that returns a tresult; 0 is success."""
        return self.call(slot, ctypes.c_int32, *arguments)

    def query(self, guid: str) -> Interface | None:
        """Ask for another interface of the same object; None where it has no such."""
        found = ctypes.c_void_p()
        status = self.status(0, ctypes.c_char_p(guid_bytes(guid)), pointer(found))
        return Interface(found.value) if status == OK and found.value else None

    def create(self, class_id: bytes, guid: str) -> Interface | None:
        """Let a factory make an object; None where it makes none."""
        made = ctypes.c_void_p()
        arguments = (ctypes.c_char_p(class_id), ctypes.c_char_p(guid_bytes(guid)), pointer(made))
        status = self.status(CREATE_INSTANCE, *arguments)
        return Interface(made.value) if status == OK and made.value else None


def pointer(value: Any) -> ctypes.c_void_p:
    """Give the address of a ctypes value as an argument. The caller keeps the value alive over the call."""
    return ctypes.c_void_p(ctypes.addressof(value))


class HostContext:
    """The IHostApplication that plugins ask who hosts them; keep it alive as long as any plugin is.

    It makes no messages or attribute lists: only plugins whose halves talk while they load would need them.
    """

    def __init__(self) -> None:
        void, out = ctypes.c_void_p, ctypes.POINTER(ctypes.c_void_p)
        self._functions = (
            METHOD(ctypes.c_int32, void, void, out)(self._query),
            METHOD(ctypes.c_uint32, void)(lambda _: 1),
            METHOD(ctypes.c_uint32, void)(lambda _: 1),
            METHOD(ctypes.c_int32, void, void)(self._name),
            METHOD(ctypes.c_int32, void, void, void, out)(self._create),
        )
        addresses = [ctypes.cast(function, void).value for function in self._functions]
        self._table = (void * len(addresses))(*addresses)
        self._object = void(ctypes.addressof(self._table))
        self._known = {guid_bytes(FUNKNOWN), guid_bytes(HOST_APPLICATION)}

    def argument(self) -> ctypes.c_void_p:
        """Give the object's address as an argument."""
        return pointer(self._object)

    def _query(self, this: int, guid: int, out: Any) -> int:
        known = ctypes.string_at(guid, 16) in self._known
        out[0] = this if known else None
        return OK if known else NO_INTERFACE

    def _name(self, _this: int, destination: int) -> int:
        encoded = (HOST_NAME + "\0").encode("utf-16-le" if sys.byteorder == "little" else "utf-16-be")
        ctypes.memmove(destination, encoded, len(encoded))
        return OK

    def _create(self, _this: int, _class_id: int, _guid: int, out: Any) -> int:
        out[0] = None
        return NOT_IMPLEMENTED


def open_module(binary: Path, bundle: Path) -> Interface:
    """Load a binary, run its entry function and ask for its factory.

    Parameters
    ----------
    binary : Path
        The file to load.
    bundle : Path
        The bundle folder it lies in (macOS hands it to the plugin), or the binary once more.

    Returns
    -------
    Interface
        The plugin's IPluginFactory.

    Raises
    ------
    PluginError
        It is not a library, not a VST3, or its entry function says no.
    """
    try:
        library = _load(binary.resolve())
    except OSError as error:
        # The loader starts its own message with the path.
        reason = str(error).removeprefix(f"{binary.resolve()}: ")
        raise PluginError(
            f"{bundle}: not a plugin that this machine can load ({reason}); "
            f"expected a VST3 built for {platform.system()} {platform.machine()}"
        ) from error
    get_factory = getattr(library, "GetPluginFactory", None)
    if get_factory is None:
        raise PluginError(f"{bundle}: a library without GetPluginFactory is not a VST3; give the path of a .vst3")
    _enter(library, bundle)
    get_factory.restype = ctypes.c_void_p
    get_factory.argtypes = []
    address = get_factory()
    if not address:
        raise PluginError(f"{bundle}: the VST3 gives no plugin factory; update or reinstall it")
    return Interface(address)


def _load(binary: Path) -> Any:
    if sys.platform == "win32":
        # Stops the dialogue that would otherwise wait for a click after a crash or a missing DLL.
        ctypes.windll.kernel32.SetErrorMode(0x8003)
        # As every host with windows does: plugins that make COM objects while they start count on it.
        ctypes.windll.ole32.OleInitialize(None)
        # LOAD_WITH_ALTERED_SEARCH_PATH: the plugin's own folder is searched for the DLLs it brings.
        return ctypes.WinDLL(str(binary), winmode=0x8)
    return ctypes.CDLL(str(binary))


def _enter(library: Any, bundle: Path) -> None:
    """Run the module's entry function, whose name and argument differ by system and which may be missing."""
    if sys.platform == "win32":
        name, types, arguments = "InitDll", [], []
    elif sys.platform == "darwin":
        name, types, arguments = "bundleEntry", [ctypes.c_void_p], [_mac_bundle(bundle)]
    else:
        name, types, arguments = "ModuleEntry", [ctypes.c_void_p], [library._handle]
    entry = getattr(library, name, None)
    if entry is None:
        return
    entry.restype = ctypes.c_bool
    entry.argtypes = types
    if not entry(*arguments):
        raise PluginError(f"{bundle}: {name} of the VST3 says no; the plugin may need a licence or other files")


def _mac_bundle(bundle: Path) -> int | None:
    """Make the CFBundleRef that bundleEntry expects."""
    foundation = ctypes.CDLL("/System/Library/Frameworks/CoreFoundation.framework/CoreFoundation")
    make_url = foundation.CFURLCreateFromFileSystemRepresentation
    make_url.restype = ctypes.c_void_p
    make_url.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_long, ctypes.c_bool]
    make_bundle = foundation.CFBundleCreate
    make_bundle.restype = ctypes.c_void_p
    make_bundle.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
    encoded = os.fsencode(bundle.resolve())
    url = make_url(None, encoded, len(encoded), bundle.is_dir())
    # CFBundleCreate crashes where there is no URL.
    reference = make_bundle(None, url) if url else None
    if not reference:
        raise PluginError(f"{bundle}: macOS does not take it for a bundle; give the path of the .vst3 folder")
    return reference
