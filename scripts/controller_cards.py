"""Write the cards of the controllers that ship, from their files and from what the benchmark wrote.

    python scripts/controller_cards.py zam_speech zam_music channel_strip_speech channel_strip_music

For each, `train/NAME/weights.safetensors` and `docs/results/NAME.self.json` and `NAME.paper.json` must be there.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from blackbox_afx.networks.controller_file import load_card

ROOT = Path(__file__).resolve().parent.parent
HEARD = {
    "speech": "speech of LibriSpeech (CC-BY-4.0, by way of Resemblyzer's samples), Kyutai's voice donations, Rhasspy's "
    "Kerstin, Kathleen and Flemish Guy, and Nabu Casa's voice datasets (all CC0)",
    "music": "music of open games and of free musicians (CC0, CC-BY and CC-BY-SA: Beat Feet, Everything is Free, "
    "OpenClonk, Open Surge, Phonograph, Sonic Pi, The Secret Chronicles, Tuxemon, Valyria Tear)",
}
BEGINNING = (
    "- began from the mixture and the trunk that were [learned beforehand](../../docs/pretrained.md), on the training "
    "split of the same speech and music."
)
PROTOCOLS = {
    "self": "A random setting of the chain made the target (`--protocol self`)",
    "paper": "Other effects made input and target, which the chain can't undo and redo entirely (`--protocol paper`)",
}


def card(name: str) -> str:
    """Word one controller's card; its tables are still to be filled."""
    about = load_card(ROOT / "train" / name / "weights.safetensors")
    kind = name.rsplit("_", 1)[1]
    plugins = ", ".join(
        f"{p.label} ({p.identity.format}{', version ' + p.identity.version if p.identity.version else ''})"
        for p in about.profiles
    )
    train, plan = about.data["train"], about.plan
    clips = plan["shards"] * plan["shard_clips"]
    responses = about.data["responses"]["responses"]
    cut, chosen = about.scores["cut"], about.scores["chosen"]
    lines = [
        f"# {name}",
        "",
        f"A style controller for {plugins}: {len(about.spec.space)} controls, learned on {kind}.",
        "",
        "```",
        f"afx transfer take.wav reference.wav --controller {name} --out result.wav",
        "```",
        "",
        f"- hears mono at {about.sample_rate} Hz, whatever rate the plugins render at.",
        f"- learned in at most {about.minutes:g} minutes on one core from {clips} clips and {responses} responses of "
        f"the chain, seed {about.seed}; working set of {train['minutes']:g} minutes, {train['speakers']} "
        f"{'speakers' if kind == 'speech' else 'artists'}.",
        *([BEGINNING] if about.network["encoder"] == "mixture" else []),
        f"- kept as its {chosen.replace('audio', 'audio stage')} left it, by {plan['held_out']} held-out pairs"
        f"{' of both kinds' if about.recipe.get('audio_foreign') else ''}.",
        *([f"- the deadline cut short: {', '.join(cut)}."] if cut else []),
        f"- heard: {HEARD[kind]}.",
        "- its matrices are kept in 8 bits.",
        f"- versions: {', '.join(f'{key} {value}' for key, value in about.versions.items())}.",
        "",
        "Learned by the recipe beside this card:",
        "",
        "```",
        f"afx train {name} --audio recordings/ --where type={kind} --jobs 1 --out {name}.safetensors",
        "```",
        "",
        "## How good",
        "",
    ]
    commands = set()
    for protocol, meaning in PROTOCOLS.items():
        place = f"../../docs/results/{name}.{protocol}.json"
        report = json.loads((ROOT / "train" / name / place).read_text(encoding="utf-8"))
        lines += [
            f"{meaning}: error as a share of the unprocessed input's, {report['pairs']} pairs of "
            f"{len(report['speakers'])} {'speakers' if kind == 'speech' else 'artists'} it never heard, seed "
            f"{report['seed']}, with its 95 % interval over them.",
            "",
            f"<!-- table: {place}; {name}: {name} -->",
            "<!-- end -->",
            "",
        ]
        commands.add(report["command"])
    lines += ["```", *commands, "```", ""]
    return "\n".join(lines)


def main() -> None:
    """Write the cards of the controllers that are named."""
    pages = [ROOT / "train" / name / "CARD.md" for name in sys.argv[1:]]
    for page in pages:
        page.write_text(card(page.parent.name), encoding="utf-8")
        print(f"wrote {page}")
    subprocess.run([sys.executable, ROOT / "scripts" / "fill_tables.py", *pages], check=True)


if __name__ == "__main__":
    main()
