"""What a proxy's CARD.md says: how it was made, how good it is, where it is wrong."""

from __future__ import annotations

import numpy as np

from blackbox_afx.proxies.proxy_file import ProxyCard
from blackbox_afx.train.proxy_check import ProxyScores


def scores_text(scores: ProxyScores) -> str:
    """Word the scores in one line."""
    return (
        f"error STFT {scores.stft_ratio:.2f} waveform {scores.waveform_ratio:.2f} of the input's "
        f"({scores.error_db:.1f} dB); gradient cosine {scores.cosine:.2f} (least {scores.cosine_least:.2f}), "
        f"{scores.own_cosine:.2f} on its own audio"
    )


def check_card(name: str, card: ProxyCard, scores: ProxyScores, command: str = "") -> str:
    """Write CARD.md.

    Parameters
    ----------
    name : str
        Of the proxy's folder.
    card : ProxyCard
    scores : ProxyScores
    command : str
        What made the scores; the training itself by default.

    Returns
    -------
    str
        Markdown.
    """
    profile = card.profile
    worst = sorted(scores.controls, key=lambda row: row.cosine if np.isfinite(row.cosine) else 2.0)[:3]
    gain = card.gain
    heard = card.data.get("train", {})
    where = f" --where {card.data['where']}" if card.data.get("where") else ""
    measured = card.data.get("responses", {}).get("responses", 0)
    responses = f" --set responses={measured}" if measured else ""
    lines = [
        f"# {name}",
        "",
        f"A network that imitates {profile.label} ({profile.identity.format}"
        f"{', version ' + profile.identity.version if profile.identity.version else ''}), "
        "so that gradients can pass through it.",
        "",
        f"- architecture `{card.architecture}`, {len(profile.active)} controls, {card.sample_rate} Hz, mono: "
        "of several channels each is processed by itself, so that a linked stereo detector is not imitated.",
        "- latency is compensated, so the proxy has none; it begins from silence, as a plugin that was just reset.",
        f"- {_gain_line(profile.active[gain.index].name, gain.neutral_db) if gain else 'no output gain is exact.'}",
        f"- trained for {card.minutes:g} minutes on {card.examples} rendered patches, seed {card.seed}; working set of "
        f"{heard.get('minutes', '?')} minutes, {heard.get('speakers', '?')} speakers or artists.",
        *_response_line(card),
        *_cut_line(card),
        f"- versions: {', '.join(f'{key} {value}' for key, value in card.versions.items())}.",
        "",
        "Trained by the command below, with the recipe beside this card:",
        "",
        "```",
        f"afx train recipe.toml --minutes {card.minutes:g} --set examples={card.examples}{responses} \\",
        f"    --audio recordings/{where} --seed {card.seed} --out {name}",
        "```",
        "",
        "## How good",
        "",
        f"On {scores.patches} held-out patches at uniform settings, seed {scores.seed}"
        + (":" if not command else ", by the command below:"),
        "",
        *(["```", command, "```", ""] if command else []),
        "| | |",
        "|---|---|",
        f"| STFT error, share of the input's | {scores.stft_ratio:.3f} |",
        f"| waveform error, share of the input's | {scores.waveform_ratio:.3f} |",
        f"| error power against the plugin's output | {scores.error_db:.1f} dB |",
        f"| cosine of the gradient with the plugin's central differences, {scores.cases} cases: mean (lowest) | "
        f"{scores.cosine:.3f} ({scores.cosine_least:.3f}) |",
        f"| the same where the proxy's own audio makes the loss | "
        f"{scores.own_cosine:.3f} ({scores.own_cosine_least:.3f}) |",
        "",
        "## Where it is wrong",
        "",
        "STFT error as a share of the input's, by where the control stands in its range; and for each control how the "
        "proxy's derivative agrees with the plugin's: cosine over the cases, and the share of the derivative's size "
        "that has the right sign.",
        f"Least to be trusted: {', '.join(f'{row.name} ({row.cosine:.2f})' for row in worst)}.",
        "",
        "| control | low third | middle | high | cosine | sign |",
        "|---|---|---|---|---|---|",
        *(
            f"| {row.name} | {row.error[0]:.2f} | {row.error[1]:.2f} | {row.error[2]:.2f} | {row.cosine:.2f} | "
            f"{row.sign:.2f} |"
            for row in scores.controls
        ),
        "",
    ]
    return "\n".join(lines)


def _response_line(card: ProxyCard) -> list[str]:
    found = card.data.get("responses")
    if not found:
        return []
    if not found.get("kept", True):
        return [
            f"- {found['responses']} responses were measured with a quiet impulse and left aside, as they lead away "
            "from what becomes of recordings."
        ]
    return [
        f"- its filter learned {found['responses']} measured responses first: it knows them to "
        f"{found['error_db']:.2f} dB, mean over frequencies and held-out settings."
    ]


def _cut_line(card: ProxyCard) -> list[str]:
    wanted = card.recipe.get("examples", 0)
    if card.examples >= wanted:
        return []
    return [
        f"- the deadline stopped it short of the {wanted} patches that its recipe wants: the command below repeats how "
        "much it learned, and not its weights to the bit."
    ]


def _gain_line(name: str, neutral_db: float) -> str:
    return f"{name} is not learned but applied exactly behind the network, which hears it at {neutral_db:g} dB."
