"""The page to listen with: plain HTML, its style inside, one player and one drawn waveform a file."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from blackbox_afx.benchmark.report import DIGITS, HEADINGS
from blackbox_afx.metrics import ALWAYS

if TYPE_CHECKING:
    from blackbox_afx.benchmark.listen import Track

POINTS = 160
"""Of a drawn waveform."""

STYLE = """
:root { color-scheme: light dark; --line: #d4d7dc; --soft: #6b7280; --wave: #8a8f98; --best: #0f766e; }
@media (prefers-color-scheme: dark) { :root { --line: #3a3f47; --soft: #9aa1ac; --best: #2dd4bf; } }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 66rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: .3rem; }
h2 { font-size: 1.1rem; margin: 2rem 0 .4rem; }
p, footer { color: var(--soft); }
code { font-size: .85em; overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; }
th, td { border-bottom: 1px solid var(--line); padding: .3rem .5rem; text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
thead th { font-weight: 500; color: var(--soft); }
audio { width: 15rem; height: 2rem; vertical-align: middle; }
svg { width: 9rem; height: 2rem; vertical-align: middle; }
path { fill: var(--wave); }
.best { color: var(--best); font-weight: 600; }
"""


def waveform(audio: np.ndarray, scale: float) -> str:
    """Draw a recording's outline as inline SVG.

    Parameters
    ----------
    audio : float [samples]
    scale : float > 0
        The amplitude that fills the height: of a pair's files one, so that their levels compare.
    """
    parts = np.array_split(np.abs(audio), min(POINTS, len(audio)))
    heights = np.array([part.max() for part in parts]) / scale
    upper = " ".join(f"{k},{20 - 20 * height:.1f}" for k, height in enumerate(heights))
    lower = " ".join(f"{k},{20 + 20 * height:.1f}" for k, height in reversed(list(enumerate(heights))))
    box = f'viewBox="0 0 {POINTS} 40" preserveAspectRatio="none" aria-hidden="true"'
    return f'<svg {box}><path d="M {upper} L {lower} Z"/></svg>'


def page(facts: dict[str, Any], pairs: Sequence[Sequence[Track]]) -> str:
    """Write the page.

    Parameters
    ----------
    facts : dict
        As ``listen.json`` holds them.
    pairs : sequence of sequence of Track

    Returns
    -------
    str
        HTML that loads nothing but the audio files beside it.
    """
    heads = "".join(f"<th>{escape(HEADINGS[name])}</th>" for name in ALWAYS)
    sections = []
    for number, tracks in enumerate(pairs, 1):
        scale = max(float(np.abs(track.audio).max()) for track in tracks) or 1.0
        results = [track for track in tracks if track.scores and track.name != "input"]
        rows = []
        for track in tracks:
            cells = "".join(_cell(track, name, results) for name in ALWAYS)
            rows.append(
                f"<tr><td>{escape(track.name)}</td><td>{waveform(track.audio, scale)}</td>"
                f'<td><audio controls preload="metadata" src="{escape(track.file)}"></audio></td>{cells}</tr>'
            )
        who = escape(facts["pairs"][number - 1]["speaker"])
        sections.append(
            f"<h2>{number}. {who}</h2>\n<table><thead><tr><th></th><th></th><th></th>{heads}</tr></thead>\n<tbody>\n"
            + "\n".join(rows)
            + "\n</tbody></table>"
        )
    where = {
        "self": "A random setting of the controllers' own chain made reference and target.",
        "paper": "Other effects coloured the input, and made reference and target.",
    }
    by_chain: dict[str, list[str]] = {}
    for name, label in facts["chains"].items():
        by_chain.setdefault(label, []).append(name)
    heard = [f"{escape(label)} is set by {escape(', '.join(names))}." for label, names in by_chain.items()]
    known = {"input", "reference", "target", *facts["chains"]}
    others = dict.fromkeys(track.name for tracks in pairs for track in tracks if track.name not in known)
    if others:
        heard.append(f"No plugin is in the sound of {escape(', '.join(others))}.")
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="blackbox_afx">
<title>Style transfer: {len(pairs)} pairs to listen to</title>
<style>{STYLE}</style>
</head>
<body>
<h1>Style transfer: {len(pairs)} pairs to listen to</h1>
<p>Each method hears the input and the reference, which says other things, and should make the input sound
like the target, which it does not hear. {where[facts["protocol"]]} {" ".join(heard)}</p>
<p>Figures are distances from the target: less is better, the best result of a pair is marked.
All files of a pair were made louder by the same amount.</p>
{chr(10).join(sections)}
<footer><p>Made by <code>{escape(facts["command"])}</code>,
blackbox_afx {escape(facts["versions"]["blackbox_afx"])}.</p></footer>
</body>
</html>
"""


def _cell(track: Track, metric: str, results: Sequence[Track]) -> str:
    """Write one figure; the best of the methods stands out."""
    if metric not in track.scores:
        return "<td></td>"
    value = track.scores[metric]
    best = min((result.scores[metric] for result in results if metric in result.scores), default=None)
    mark = ' class="best"' if track in results and value == best and len(results) > 1 else ""
    return f"<td{mark}>{value:.{min(2, DIGITS.get(metric, 2))}f}</td>"
