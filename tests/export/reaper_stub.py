"""The part of REAPER's script interface that our script calls, as its documentation describes it; REAPER it is not.

It checks that functions are called by their names, with as many arguments as they take and of the right types, and
keeps
what was made. How REAPER itself acts on it can only be heard in REAPER.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

NUMBER, TEXT, FLAG, THING = (int, float), (str,), (bool,), (dict,)
SIGNATURES: dict[str, tuple[tuple[type, ...], ...]] = {
    "get_action_context": (),
    "file_exists": (TEXT,),
    "CountTracks": (NUMBER,),
    "InsertTrackAtIndex": (NUMBER, FLAG),
    "GetTrack": (NUMBER, NUMBER),
    "GetSetMediaTrackInfo_String": (THING, TEXT, TEXT, FLAG),
    "SetMediaTrackInfo_Value": (THING, TEXT, NUMBER),
    "AddMediaItemToTrack": (THING,),
    "AddTakeToMediaItem": (THING,),
    "PCM_Source_CreateFromFile": (TEXT,),
    "SetMediaItemTake_Source": (THING, THING),
    "GetSetMediaItemTakeInfo_String": (THING, TEXT, TEXT, FLAG),
    "SetMediaItemTakeInfo_Value": (THING, TEXT, NUMBER),
    "SetMediaItemInfo_Value": (THING, TEXT, NUMBER),
    "TrackFX_AddByName": (THING, TEXT, FLAG, NUMBER),
    "TrackFX_GetFXName": (THING, NUMBER, TEXT),
    "TrackFX_Delete": (THING, NUMBER),
    "TrackFX_GetNumParams": (THING, NUMBER),
    "TrackFX_GetParamName": (THING, NUMBER, NUMBER, TEXT),
    "TrackFX_GetParam": (THING, NUMBER, NUMBER),
    "TrackFX_SetParam": (THING, NUMBER, NUMBER, NUMBER),
    "TrackFX_SetParamNormalized": (THING, NUMBER, NUMBER, NUMBER),
    "TrackFX_SetPreset": (THING, NUMBER, TEXT),
    "TrackFX_SetPinMappings": (THING, NUMBER, NUMBER, NUMBER, NUMBER, NUMBER),
    "TrackFX_SetEnabled": (THING, NUMBER, FLAG),
    "GetFXEnvelope": (THING, NUMBER, NUMBER, FLAG),
    "DeleteEnvelopePointRange": (THING, NUMBER, NUMBER),
    "InsertEnvelopePoint": (THING, NUMBER, NUMBER, NUMBER, NUMBER, FLAG, FLAG),
    "Envelope_SortPoints": (THING,),
    "Undo_BeginBlock": (),
    "Undo_EndBlock": (TEXT, NUMBER),
    "PreventUIRefresh": (NUMBER,),
    "TrackList_AdjustWindows": (FLAG,),
    "UpdateArrange": (),
    "ShowMessageBox": (TEXT, TEXT, NUMBER),
}


class Reaper:
    """Keep tracks, items, plugins and envelopes.

    Parameters
    ----------
    script : Path
        Where the script lies.
    plugins : dict of str to list of (name, low, high)
        Installed plugins by their full names, and their parameters.
    """

    def __init__(self, script: Path, plugins: dict[str, list[tuple[str, float, float]]]) -> None:
        self.script = script
        self.plugins = plugins
        self.tracks: list[dict[str, Any]] = []
        self.undo: list[str] = []
        self.open_blocks = 0
        self.frozen = 0
        self.messages: list[str] = []

    def call(self, name: str, *arguments: Any) -> Any:
        """Do what the function of that name does, if its arguments are right."""
        wanted = SIGNATURES[name]
        assert len(arguments) == len(wanted), f"{name} got {arguments}"
        for argument, kinds in zip(arguments, wanted, strict=True):
            assert isinstance(argument, kinds), f"{name} got {argument!r}, expected {kinds}"
            assert kinds is not NUMBER or not isinstance(argument, bool), f"{name} got {argument!r} for a number"
        return getattr(self, name, lambda *ignored: None)(*arguments)

    def get_action_context(self) -> tuple[Any, ...]:
        return False, str(self.script), 0, 0, -1, -1, -1, ""

    def file_exists(self, path: str) -> bool:
        return Path(path).is_file()

    def CountTracks(self, project: int) -> int:
        return len(self.tracks)

    def InsertTrackAtIndex(self, index: int, defaults: bool) -> None:
        self.tracks.insert(index, {"items": [], "fx": []})

    def GetTrack(self, project: int, index: int) -> dict[str, Any]:
        return self.tracks[index]

    def GetSetMediaTrackInfo_String(self, track: dict[str, Any], key: str, text: str, new: bool) -> tuple[bool, str]:
        track[key] = text
        return True, text

    def SetMediaTrackInfo_Value(self, track: dict[str, Any], key: str, value: float) -> bool:
        track[key] = value
        return True

    def AddMediaItemToTrack(self, track: dict[str, Any]) -> dict[str, Any]:
        track["items"].append({"takes": []})
        return track["items"][-1]

    def AddTakeToMediaItem(self, item: dict[str, Any]) -> dict[str, Any]:
        item["takes"].append({})
        return item["takes"][-1]

    def PCM_Source_CreateFromFile(self, path: str) -> dict[str, Any]:
        return {"path": path}

    def SetMediaItemTake_Source(self, take: dict[str, Any], source: dict[str, Any]) -> bool:
        take["source"] = source
        return True

    GetSetMediaItemTakeInfo_String = GetSetMediaTrackInfo_String
    SetMediaItemTakeInfo_Value = SetMediaTrackInfo_Value
    SetMediaItemInfo_Value = SetMediaTrackInfo_Value

    def TrackFX_AddByName(self, track: dict[str, Any], name: str, recording: bool, instantiate: int) -> int:
        assert instantiate < 0, "anything else may find the instance before"
        kind, _, bare = name.rpartition(":")
        for full in self.plugins:
            if full.startswith(kind) and bare.strip() in full:
                parameters = [[title, low, high, None] for title, low, high in self.plugins[full]]
                track["fx"].append({"name": full, "parameters": parameters, "envelopes": {}, "pins": {}})
                return len(track["fx"]) - 1
        return -1

    def TrackFX_GetFXName(self, track: dict[str, Any], fx: int, buffer: str) -> tuple[bool, str]:
        return True, track["fx"][fx]["name"]

    def TrackFX_Delete(self, track: dict[str, Any], fx: int) -> bool:
        del track["fx"][fx]
        return True

    def TrackFX_GetNumParams(self, track: dict[str, Any], fx: int) -> int:
        return len(track["fx"][fx]["parameters"])

    def TrackFX_GetParamName(self, track: dict[str, Any], fx: int, index: int, buffer: str) -> tuple[bool, str]:
        return True, track["fx"][fx]["parameters"][index][0]

    def TrackFX_GetParam(self, track: dict[str, Any], fx: int, index: int) -> tuple[float, float, float]:
        _, low, high, value = track["fx"][fx]["parameters"][index]
        return value or low, low, high

    def TrackFX_SetParam(self, track: dict[str, Any], fx: int, index: int, value: float) -> bool:
        _, low, high, _ = track["fx"][fx]["parameters"][index]
        assert low <= value <= high
        track["fx"][fx]["parameters"][index][3] = value
        return True

    def TrackFX_SetParamNormalized(self, track: dict[str, Any], fx: int, index: int, value: float) -> bool:
        assert 0 <= value <= 1
        _, low, high, _ = track["fx"][fx]["parameters"][index]
        return self.TrackFX_SetParam(track, fx, index, low + value * (high - low))

    def TrackFX_SetPreset(self, track: dict[str, Any], fx: int, name: str) -> bool:
        track["fx"][fx]["preset"] = name
        return Path(name).is_file() and Path(name).read_bytes().startswith(b"VST3")

    def TrackFX_SetPinMappings(
        self, track: dict[str, Any], fx: int, output: int, pin: int, low: int, high: int
    ) -> bool:
        track["fx"][fx]["pins"][output, pin] = low
        return True

    def TrackFX_SetEnabled(self, track: dict[str, Any], fx: int, on: bool) -> None:
        track["fx"][fx]["enabled"] = on

    def GetFXEnvelope(self, track: dict[str, Any], fx: int, index: int, create: bool) -> dict[str, Any]:
        # A new envelope starts with one point at the current value.
        value = self.TrackFX_GetParam(track, fx, index)[0]
        return track["fx"][fx]["envelopes"].setdefault(index, {"points": [(0.0, value, 0)], "sorted": True})

    def DeleteEnvelopePointRange(self, envelope: dict[str, Any], start: float, end: float) -> bool:
        envelope["points"] = [point for point in envelope["points"] if not start <= point[0] < end]
        return True

    def InsertEnvelopePoint(
        self,
        envelope: dict[str, Any],
        time: float,
        value: float,
        shape: int,
        tension: float,
        selected: bool,
        unsorted: bool,
    ) -> bool:
        envelope["points"].append((time, value, shape))
        envelope["sorted"] = not unsorted
        return True

    def Envelope_SortPoints(self, envelope: dict[str, Any]) -> bool:
        envelope["points"].sort()
        envelope["sorted"] = True
        return True

    def Undo_BeginBlock(self) -> None:
        self.open_blocks += 1

    def Undo_EndBlock(self, name: str, flags: int) -> None:
        self.open_blocks -= 1
        self.undo.append(name)

    def PreventUIRefresh(self, change: int) -> None:
        self.frozen += change

    def ShowMessageBox(self, text: str, title: str, kind: int) -> int:
        self.messages.append(text)
        return 1
