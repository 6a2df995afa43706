"""The folder beside a controller in which a run keeps what it must not lose.

Everything is written beside and renamed, so that a kill at any moment leaves the last whole version. Weights are
safetensors, the rest JSON and npz: loading runs no code.
"""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from blackbox_afx.errors import ControllerError, OutputError
from blackbox_afx.train.run_place import REPLACE, check_run_place, run_path


class RunFolder:
    """Keep shards, checkpoints and the log of one run.

    Parameters
    ----------
    out : Path
        The controller file that the run makes; the folder is ``<out>.run``.
    resume : bool
        Go on with what is there.
    force : bool
        Throw away what is there, and let `out` be replaced.

    Raises
    ------
    OutputError
        When `out` or the folder exists and neither flag allows it, or the place can't be written.
    """

    def __init__(self, out: str | os.PathLike[str], *, resume: bool = False, force: bool = False) -> None:
        self.out = Path(out)
        self.path = run_path(self.out)
        try:
            self._new = (force and not resume) or not self.path.exists()
            check_run_place(self.out, resume=resume, force=force)
            if force and not resume and self.path.exists():
                shutil.rmtree(self.path)
            self.path.mkdir(parents=True, exist_ok=True)
            if force:
                self.allow_replace()
        except OSError as error:
            raise OutputError(
                f"{self.path}: can't be made ({error.strerror}); choose a folder you may write to"
            ) from None

    def allow_replace(self) -> None:
        """Remember that `out` may be replaced, so that a resume need not be told again."""
        (self.path / REPLACE).touch()

    def write_json(self, name: str, content: Any) -> None:
        """Write JSON atomically."""
        beside = self.path / (name + ".part")
        beside.write_text(json.dumps(content, indent=1))
        os.replace(beside, self.path / name)

    def check_identity(self, identity: dict[str, Any]) -> None:
        """Keep what a run is about, or refuse to resume one that was about something else.

        Parameters
        ----------
        identity : dict
            Of what JSON can hold, structs and tuples too.

        Raises
        ------
        OutputError
            The message names what changed.
        """
        # By way of JSON, which has no tuples, since that is what a resumed run reads.
        identity = msgspec.json.decode(msgspec.json.encode(identity))
        before = self.read_json("run.json")
        if before is None:
            self.write_json("run.json", identity)
            return
        changed = [key for key, value in identity.items() if before.get(key) != value]
        if changed:
            raise OutputError(
                f"{self.path} was begun with another {', '.join(changed)}; resume it with the same, "
                "or give --force to start afresh"
            )

    def read_json(self, name: str) -> Any | None:
        """Read JSON, or give None where the file is not there.

        Raises
        ------
        OutputError
            When it was cut short or edited into something else.
        """
        try:
            return json.loads((self.path / name).read_text())
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise OutputError(f"{self.path / name}: not JSON ({error}); give --force to start afresh") from None

    def log(self, **row: Any) -> None:
        """Append one line to ``log.jsonl``."""
        with open(self.path / "log.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    def shard_path(self, index: int, kind: str = "shards") -> Path:
        """Where a shard lies: of training pairs, or of another kind, which has a folder of its own."""
        return self.path / kind / f"{index:05d}.npz"

    def has_shard(self, index: int, kind: str = "shards") -> bool:
        """Whether a shard is there and whole."""
        return zipfile.is_zipfile(self.shard_path(index, kind))

    def write_shard(self, index: int, arrays: dict[str, np.ndarray], kind: str = "shards") -> None:
        """Write one shard atomically."""
        place = self.shard_path(index, kind)
        place.parent.mkdir(exist_ok=True)
        beside = place.with_suffix(".part")
        with open(beside, "wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
        os.replace(beside, place)

    def read_shard(self, index: int, kind: str = "shards") -> dict[str, np.ndarray] | None:
        """Read one shard, or give None where it is missing or unreadable."""
        try:
            with np.load(self.shard_path(index, kind), allow_pickle=False) as archive:
                return {name: archive[name] for name in archive.files}
        except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
            return None

    def save_tensors(self, name: str, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
        """Write tensors atomically."""
        save_tensors(self.path / name, tensors, metadata)

    def load_tensors(self, name: str) -> tuple[dict[str, Tensor], dict[str, str]] | None:
        """Read tensors and metadata, or give None where the file is not there."""
        if not (self.path / name).exists():
            return None
        return load_tensors(self.path / name)

    def drop_if_nothing_was_kept(self) -> None:
        """Remove the folder if this sitting made it and has neither a plan nor proxies to go on with."""
        if self._new and not any((self.path / name).exists() for name in ("plan.json", "proxies")):
            self.clear()

    def clear(self) -> None:
        """Remove the folder: the run is done."""
        shutil.rmtree(self.path, ignore_errors=True)


def save_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Write a safetensors file beside its place and rename it there."""
    beside = path.with_name(path.name + ".part")
    save_file({name: tensor.detach().contiguous().clone() for name, tensor in tensors.items()}, beside, metadata)
    os.replace(beside, path)


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read a safetensors file.

    Raises
    ------
    ControllerError
        When it is missing, cut short or something else.
    """
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except FileNotFoundError:
        raise ControllerError(f"{path}: no such file; expected a controller that `afx learn` made") from None
    except (SafetensorError, OSError) as error:
        raise ControllerError(
            f"{path}: not a controller, or cut short ({error}); expected the file that `afx learn` made"
        ) from None


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Flatten an optimizer's state into named tensors."""
    flat: dict[str, Tensor] = {}
    for key, slots in optimizer.state_dict()["state"].items():
        for slot, content in slots.items():
            flat[f"optimizer/{key}/{slot}"] = torch.as_tensor(content)
    return flat


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put named tensors back into an optimizer."""
    state = optimizer.state_dict()
    slots: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer/"):
            _, key, slot = name.split("/")
            slots.setdefault(int(key), {})[slot] = tensor
    state["state"] = slots
    optimizer.load_state_dict(state)
