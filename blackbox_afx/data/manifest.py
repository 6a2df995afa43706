"""MANIFEST.csv: what a folder's owner says of its recordings, and the filter on it.

Conventions: a header line; one recording a line; `path` is relative to the folder, with forward slashes.
Used here: `split` (train, val, test), `type`, `source`, and `speaker` (or `artist`, `speaker_or_artist`).
Any other column may be filtered on.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from blackbox_afx.errors import AudioError, UsageError, nearest

NAME = "MANIFEST.csv"
SPLITS = ("train", "val", "test")
SPEAKER_COLUMNS = ("speaker_or_artist", "speaker", "artist")

# What corpora call their validation part.
_SPLIT_NAMES = {"valid": "val", "validation": "val", "dev": "val", "training": "train", "testing": "test"}


def canonical_split(name: str) -> str:
    """Turn a split's name, as corpora have it, into train, val or test; other names come back as they are."""
    name = name.strip().lower()
    return _SPLIT_NAMES.get(name, name)


def read_manifest(folder: Path) -> list[dict[str, str]] | None:
    """Read the MANIFEST.csv of a folder.

    Parameters
    ----------
    folder : Path
        Where it lies.

    Returns
    -------
    list of dict, or None
        A row a recording, by column; None where the folder has no MANIFEST.csv.

    Raises
    ------
    AudioError
        For a file without the column `path`, without rows, not UTF-8, a path that leaves the folder, an unknown split.
    """
    path = folder / NAME
    if not path.is_file():
        return None
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            columns = list(reader.fieldnames or [])
            rows = [{key: value or "" for key, value in row.items() if key is not None} for row in reader]
    except OSError as error:
        raise AudioError(f"{path} can't be read ({error.strerror}); check its permissions") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise AudioError(f"{path} can't be read ({error}); expected CSV in UTF-8; save it again as such") from None
    if "path" not in columns:
        raise AudioError(f"{path} has the columns {', '.join(columns) or 'none'}; expected a column 'path'; add it")
    if not rows:
        raise AudioError(f"{path} lists no recordings; expected a line a file; fill it or remove it")
    for line, row in enumerate(rows, start=2):
        inside = PurePosixPath(row["path"].replace("\\", "/"))
        if not row["path"] or inside.is_absolute() or ".." in inside.parts:
            raise AudioError(f"{path} line {line}: path '{row['path']}'; expected one inside the folder; correct it")
        split = canonical_split(row.get("split", ""))
        if split and split not in SPLITS:
            raise AudioError(f"{path} line {line}: split '{split}'; expected train, val, test or nothing; correct it")
    return rows


def speaker_of(row: Mapping[str, str]) -> str:
    """Return who is heard in a manifest's row, or an empty string."""
    return next((row[column] for column in SPEAKER_COLUMNS if row.get(column)), "")


def parse_where(where: str) -> dict[str, set[str]]:
    """Read a filter.

    Parameters
    ----------
    where : str
        ``column=value``, several joined by commas, all of which must hold; ``a|b`` allows either value, and
        ``column!=a|b`` none of them.

    Returns
    -------
    dict of set
        For each column the values it may have; under the column's name and ``!`` those it may not.

    Raises
    ------
    UsageError
        For a part without an equals sign.

    Examples
    --------
    >>> parse_where("type=speech")
    {'type': {'speech'}}
    """
    wanted: dict[str, set[str]] = {}
    for part in where.split(","):
        column, equals, value = part.partition("=")
        if not equals or not column.strip():
            raise UsageError(f"filter '{part.strip()}'; expected column=value, such as type=speech,source=a|b")
        wanted[column.strip()] = {option.strip() for option in value.split("|")}
    return wanted


def select(rows: Iterable[Mapping[str, str]], where: str, folder: Path, what: str = "") -> list[Mapping[str, str]]:
    """Keep the rows that a filter allows.

    Parameters
    ----------
    rows : iterable of mapping
        From `read_manifest`.
    where : str
        As for `parse_where`.
    folder : Path
        For messages.
    what : str
        What has the columns, for messages; the folder's manifest by default.

    Returns
    -------
    list of mapping
        At least one.

    Raises
    ------
    UsageError
        For an unknown column, listing those there are, or where nothing is left, listing the values there are.
    """
    rows = list(rows)
    wanted = parse_where(where)
    columns = list(rows[0])
    for column in (name.removesuffix("!") for name in wanted):
        if column not in columns:
            raise UsageError(
                f"{what or folder / NAME} has no column '{column}'; {nearest(column, columns)}; its columns are "
                f"{', '.join(columns)}"
            )
    kept = [
        row
        for row in rows
        if all((row[name.removesuffix("!")] in values) != name.endswith("!") for name, values in wanted.items())
    ]
    if not kept:
        there = "; ".join(_values_of(rows, column.removesuffix("!")) for column in wanted)
        raise UsageError(f"no recording in {folder} has {where}; there are {there}")
    return kept


def _values_of(rows: list[Mapping[str, str]], column: str) -> str:
    values = sorted({row[column] for row in rows})
    more = f" and {len(values) - 12} more" if len(values) > 12 else ""
    return f"{column} = {' | '.join(values[:12])}{more}"
