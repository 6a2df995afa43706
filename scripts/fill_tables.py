"""Write the benchmark tables of the documentation anew from the JSON files that the commands wrote.

    python scripts/fill_tables.py docs/paper.md

A table stands between two comments: `<!-- table: results/x.json; method: its name; ... -->` and `<!-- end -->`. The
JSON's place is relative to the page; rows are the methods in that order, behind one for the input. Columns are the
metrics that the JSON has: the error as a share of the input's with its interval over speakers or artists, and PESQ
itself.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

TITLES = {"stft": "STFT", "msd": "MSD", "sce_hz": "SCE", "rms_db": "RMS", "lufs_db": "LUFS", "pesq": "PESQ"}
TABLE = re.compile(r"(<!-- table: ([^;]+?)((?:; [^;]+?: [^;]+?)+) -->\n).*?(<!-- end -->)", re.DOTALL)


def table(report: dict[str, Any], names: dict[str, str]) -> str:
    """Lay a report of `afx benchmark synthetic` or `realistic` out as Markdown."""
    metrics = [metric for metric in TITLES if metric in report["input"]]
    lines = [["method", *(TITLES[metric] for metric in metrics)], ["---"] * (1 + len(metrics))]
    lines.append(["input", *(f"{report['input'][m]:.2f}" if m == "pesq" else "1" for m in metrics)])
    for method, shown in names.items():
        ratio = report["ratio"][method]
        cells = [shown]
        for metric in metrics:
            low, high = ratio["interval"][metric]
            share = f"{ratio[metric]:.3f} ({low:.2f} to {high:.2f})"
            cells.append(f"{report['methods'][method][metric]:.2f}" if metric == "pesq" else share)
        lines.append(cells)
    return "".join(f"| {' | '.join(cells)} |\n".replace("| --- ", "|---").replace("--- |", "---|") for cells in lines)


def fill(text: str, folder: Path) -> str:
    """Fill the tables of a page whose links are relative to `folder`."""

    def one(found: re.Match[str]) -> str:
        head, place, rows, end = found.groups()
        names = dict(row.split(": ", 1) for row in rows.removeprefix("; ").split("; "))
        return f"{head}{table(json.loads((folder / place).read_text(encoding='utf-8')), names)}{end}"

    return TABLE.sub(one, text)


def main() -> None:
    """Fill the pages that are named."""
    for page in map(Path, sys.argv[1:]):
        page.write_text(fill(page.read_text(encoding="utf-8"), page.parent), encoding="utf-8")


if __name__ == "__main__":
    main()
