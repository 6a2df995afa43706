"""Write `.vstpreset` files: each VST3's settings at the start of the session, for any VST3 host.

Conventions: one plugin, one file under the name that was given; several, `NAME.PLUGIN.vstpreset` for each.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from blackbox_afx.errors import UsageError
from blackbox_afx.export import Exported, Latency
from blackbox_afx.export.folder import legal_name
from blackbox_afx.export.moving import plugins_of, refuse_options
from blackbox_afx.export.place import write_files
from blackbox_afx.export.preset_file import preset_of
from blackbox_afx.session import PluginInstance, Session


class VstpresetExporter:
    """Write presets for VST3 hosts: an `Exporter`."""

    name = "vstpreset"
    suffix = ".vstpreset"
    formats = frozenset({"vst3"})
    experimental = False

    def write(
        self,
        session: Session,
        path: str | os.PathLike[str],
        *,
        force: bool = False,
        latency: Latency = "shift",
        **options: Any,
    ) -> Exported:
        """Write one preset a plugin; see `Exporter.write`.

        Raises
        ------
        UsageError
            There is no plugin, one of another format than VST3, or one without a state.
        OutputError
            A file exists and `force` is false, or can't be written.
        """
        refuse_options(self.name, options)
        path = Path(path)
        plugins = plugins_of(session, "a .vstpreset", self.formats)
        if not plugins:
            raise UsageError(f"session '{session.name}' has no plugin; there is nothing to save as .vstpreset")
        content = dict(zip(preset_paths(path, plugins), map(preset_of, plugins), strict=True))
        write_files(session, content, force=force)
        return Exported(path=next(iter(content)), files=tuple(content), warnings=tuple(_warnings(session)))


def preset_paths(path: Path, plugins: list[PluginInstance], *, number: bool = False) -> list[Path]:
    """Name the file of each plugin.

    Parameters
    ----------
    path : Path
        Of the only file; of several, what their names start with.
    plugins : list of PluginInstance
    number : bool
        Put the plugin's name in also where there is only one.
    """
    if len(plugins) == 1 and not number:
        return [path]
    stem = path.name.removesuffix(".vstpreset")
    names: list[str] = []
    for plugin in plugins:
        label = re.sub(r"\s+", "_", legal_name(plugin.label, "plugin"))[:60]
        name, count = label, 1
        # Not all disks tell capitals apart.
        while name.casefold() in [taken.casefold() for taken in names]:
            count += 1
            name = f"{label}-{count}"
        names.append(name)
    return [path.with_name(f"{stem}.{name}.vstpreset") for name in names]


def _warnings(session: Session) -> list[str]:
    """Say what a preset leaves behind."""
    found = []
    for track in session.tracks:
        for clip in track.clips if track.plugins else ():
            if abs(clip.gain_db) >= 0.05:
                found.append(
                    f"a preset holds no clip gain: bring the recording {clip.gain_db:+.1f} dB before the first plugin"
                )
        for plugin in track.plugins:
            if plugin.lanes:
                moved = ", ".join(f"'{plugin.value(lane.control).name}'" for lane in plugin.lanes)
                found.append(f"{plugin.label}: a preset holds no automation; {moved} stay as they are at time 0")
            if plugin.bypassed:
                found.append(f"{plugin.label}: a preset does not hold that it is bypassed")
    return found
