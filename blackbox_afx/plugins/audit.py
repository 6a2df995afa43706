"""Examine one plugin in this process, which it may crash or hang: run by `probe` in a throw-away process.

Conventions: as `throwaway` says; the request is a draft profile and how to examine it. What only a crash could spoil
comes last, after the report has been sent.
"""

from __future__ import annotations

import re
import time
from typing import Any

import msgspec
import numpy as np

from blackbox_afx.errors import PluginError
from blackbox_afx.plugins import facts, hardening
from blackbox_afx.plugins.control import Control, ControlSpace
from blackbox_afx.plugins.control_table import controls_of_host, refine_with_host
from blackbox_afx.plugins.host import Instance, host_for
from blackbox_afx.plugins.movement import movement, random_setting, towards_defaults
from blackbox_afx.plugins.probe_signal import probe_signal
from blackbox_afx.plugins.profile import Meter, Profile, ResetPolicy
from blackbox_afx.plugins.repeat import attempt, choose_reset, given
from blackbox_afx.plugins.report import Move, ProbeReport
from blackbox_afx.plugins.select import SILENT_DB
from blackbox_afx.plugins.throwaway import Parent, serve

SETTINGS = (10, 200)
"""Fewest and most random settings in the test of whether renders repeat."""

SEED = 24000

SURE = 10
"""Bases after which a control that never moved counts as silent."""

_SLOW_TAIL = re.compile(r"delay|echo|reverb|verb|loop|grain", re.IGNORECASE)


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Say what to examine and how.

    Parameters
    ----------
    draft : Profile
        Identity and, where `given`, its controls.
    described : bool
        Whether the draft already lists the plugin's parameters.
    given : bool
        Whether the draft's choices and ranges are to be kept, and only facts measured.
    sample_rate : int
        Hertz.
    bases : int
    budget_s : float
        Seconds to spend on rendering.
    categories : str
    only_table : bool
        List the parameters and stop.
    """

    draft: Profile
    described: bool = False
    given: bool = False
    sample_rate: int = 24000
    bases: int = 20
    budget_s: float = 35.0
    categories: str = ""
    only_table: bool = False


class Audit:
    """One plugin under examination."""

    def __init__(self, request: Request, parent: Parent) -> None:
        self.request = request
        self.parent = parent
        self.rate = request.sample_rate
        self.started = time.monotonic()
        self.rng = np.random.default_rng(SEED)
        self.profile = request.draft
        self.instance: Instance | None = None
        self.tries = self.failures = 0
        self.warnings: list[str] = []

    def stage(self, text: str) -> None:
        """Tell the parent what comes now, so that it can name it if that is the end."""
        self.parent.tell(stage=text)

    def load(self, **changes: Any) -> Instance:
        """Load the plugin anew, with changes to its profile."""
        if self.instance is not None:
            self.instance.close()
        self.profile = msgspec.structs.replace(self.profile, **changes)
        self.instance = host_for(self.profile).load(self.profile)
        return self.instance

    def play(self, audio: np.ndarray, values: np.ndarray, block_size: int | None = None) -> np.ndarray | None:
        """Render with the loaded instance, counting failures."""
        assert self.instance is not None
        self.tries += 1
        sound = attempt(self.instance, audio, values, self.rate, block_size)
        self.failures += sound is None
        return sound

    @property
    def space(self) -> ControlSpace:
        """The controls under examination."""
        return self.profile.space

    def defaults(self) -> np.ndarray:
        """Raw values [controls] that the plugin starts with."""
        return self.space.to_raw(self.space.defaults)

    def settings(self, count: int, tame: bool = True) -> list[np.ndarray]:
        """Draw random raw values; if tame, every other time toggles and choices stay as the plugin has them."""
        stepped = ~self.space.continuous
        drawn = []
        for k in range(count):
            positions = random_setting(self.space, self.rng, 2 + (k // 2 if tame else k), count)
            if tame and k % 2 == 0:
                positions[stepped] = self.space.defaults[stepped]
            drawn.append(self.space.to_raw(positions))
        return drawn

    def describe(self) -> None:
        """List the parameters, unless the parent has, and take the values the plugin really starts with."""
        self.stage("listing its parameters")
        if not self.request.described:
            controls, meters, table = controls_of_host(self.profile.identity)
            identity = msgspec.structs.replace(self.profile.identity, table_hash=table)
            self.profile = msgspec.structs.replace(self.profile, identity=identity, controls=controls, meters=meters)
        elif self.profile.identity.format == "vst3" and not self.request.given:
            controls = refine_with_host(self.profile)
            self.profile = msgspec.structs.replace(self.profile, controls=controls)
        if not self.request.given:
            # Also those that can't be automated: they are examined all the same.
            controls = tuple(msgspec.structs.replace(c, use=True) for c in self.profile.controls)
            self.profile = msgspec.structs.replace(self.profile, controls=controls)

    def settle(self) -> None:
        """Load, find the channel layouts, and drop controls that do not keep what they are set to."""
        self.stage("loading")
        began = time.perf_counter()
        self.load(channels=0)
        self.first_load_ms = 1000 * (time.perf_counter() - began)
        self.stage("rendering its first sound")
        for _ in range(len(self.profile.controls) + 1):
            trouble = self.first_render()
            stuck = re.search(r"control '(.+?)' was set to", trouble or "")
            if stuck is None or self.request.given:
                break
            self.drop(stuck.group(1))
        if not self.layouts:
            raise PluginError(
                f"{self.profile.label}: renders neither mono nor stereo ({trouble}); expected an effect with audio "
                "in and out; leave it out"
            )
        self.load(channels=0 if self.layouts == (1, 2) else self.layouts[0])

    def first_render(self) -> str | None:
        """Try both layouts at default and at random values; give what went wrong."""
        assert self.instance is not None
        trouble = None
        taken = []
        for channels in (1, 2):
            audio = probe_signal(self.rate, 0.1, channels)
            try:
                self.instance.render(audio, given(self.defaults()), self.rate)
                taken.append(channels)
                # A control that does not stick shows only when it is moved.
                for values in self.settings(2):
                    self.instance.render(audio, given(values), self.rate)
            except (PluginError, ValueError, RuntimeError) as error:
                trouble = " ".join(str(error).split())
        self.layouts = tuple(taken)
        return trouble if not taken or (trouble and "was set to" in trouble) else None

    def drop(self, name: str) -> None:
        """Move a control that can't be set to the meters."""
        gone = next(control for control in self.profile.controls if control.name == name)
        meter = Meter(name=name, index=gone.index, param_id=gone.param_id, why="meter")
        self.load(
            controls=tuple(control for control in self.profile.controls if control is not gone),
            meters=tuple(sorted((*self.profile.meters, meter), key=lambda entry: entry.index)),
        )

    def run(self) -> ProbeReport:
        """Measure all facts."""
        self.describe()
        if self.request.only_table:
            return ProbeReport(profile=self.profile)
        self.settle()
        assert self.instance is not None
        budget = self.request.budget_s
        channels = self.profile.channels or 1
        audio = probe_signal(self.rate, 1.0, channels)
        latency = self.instance.latency(self.rate)

        self.stage("measuring what it costs")
        load_ms, cost_ms = self.costs(audio)

        self.stage("rendering random settings again and again")
        if self.request.categories and _SLOW_TAIL.search(self.request.categories + self.profile.label):
            audio = probe_signal(self.rate, 2.0, channels)
        short = audio if cost_ms < 40 else audio[:, : audio.shape[1] // 2]
        policy, policies = self.choose_policy(short, 0.3 * budget, cost_ms)
        repeatability = policies[policy]
        self.load(reset=policy)

        self.stage("comparing block sizes, levels and tails")
        # Anew: how much was drawn until here depends on how fast this machine is, what follows must not.
        self.rng = np.random.default_rng(SEED)
        # About twenty renders a setting: one setting is the least, three are enough.
        share = 0.25 * budget
        count = int(np.clip(share / (20 * cost_ms / 1000), 1, 3))
        limit = time.monotonic() + share
        settings = self.settings(2 * count)
        some = [self.defaults(), *settings]
        dynamics = facts.depends_on_level(self.play, short, some, repeatability)
        silence_s = 5.0 if cost_ms < 60 else 3.0
        tail_s = facts.tail_seconds(
            self.play, audio[:, : audio.shape[1] // 2], some[:count], self.rate, silence_s=silence_s
        )
        blocks = facts.block_sensitivity(self.play, short, settings[:count], self.profile.block_size)
        gains = facts.exact_gains(
            self.play, short, self.space.controls, settings[:count], expired=lambda: time.monotonic() > limit
        )

        self.stage("moving its controls")
        self.rng = np.random.default_rng(SEED)
        left = budget - (time.monotonic() - self.started)
        effect, tried = movement(
            lambda values: self.play(audio, values),
            self.space.controls,
            self.rng,
            bases=self.request.bases,
            budget_s=max(left, 0.2 * budget),
            repeatability=repeatability,
        )
        moves = tuple(
            Move(index=c.index, name=c.name, effect_db=round(float(db), 2), bases=int(n))
            for c, db, n in zip(self.space.controls, effect, tried, strict=True)
        )
        profile = msgspec.structs.replace(
            self.profile,
            latency=latency,
            tail_s=tail_s,
            reset=policy,
            repeatability=float(f"{repeatability:.3g}"),
            load_ms=round(load_ms, 2),
            cost_ms=round(cost_ms, 3),
            probe_rate=self.rate,
            dynamics=dynamics,
            output_gain=self.gain_to_name(gains),
        )
        failed = self.failures / max(self.tries, 1)
        self.warn(repeatability, failed, blocks)
        if not self.request.given:
            profile = self.tidy(profile, moves)
        return ProbeReport(
            profile=profile,
            moves=moves,
            layouts=self.layouts,
            policies={key: float(f"{value:.3g}") for key, value in policies.items()},
            blocks=blocks,
            output_gains=tuple(gains),
            failed=round(failed, 4),
            first_load_ms=round(self.first_load_ms, 2),
            categories=self.request.categories,
            warnings=tuple(self.warnings),
        )

    def costs(self, audio: np.ndarray) -> tuple[float, float]:
        """Measure milliseconds to load again, and to render one second."""
        loads, renders = [], []
        for _ in range(3):
            began = time.perf_counter()
            self.load()
            loads.append(1000 * (time.perf_counter() - began))
            if sum(loads) > 50 * self.request.budget_s:
                break
        # Some cost far more away from their defaults: a graphic equaliser skips bands that are flat.
        for values in (self.defaults(), *self.settings(4)):
            began = time.perf_counter()
            self.play(audio, values)
            renders.append(1000 * (time.perf_counter() - began))
            if sum(renders) > 50 * self.request.budget_s:
                break
        return float(np.median(loads)), float(np.median(renders))

    def choose_policy(self, audio: np.ndarray, budget_s: float, cost_ms: float) -> tuple[ResetPolicy, dict[str, float]]:
        """Find what makes renders repeat; LV2, VST2 and Faust are always loaded afresh by their host."""
        if self.profile.identity.format == "vst3":
            policies: tuple[ResetPolicy, ...] = ("reset", "reinstantiate", "fresh")
        else:
            policies = ("reset",) if self.profile.identity.format == "builtin" else ("fresh",)

        def load(policy: ResetPolicy) -> Instance:
            return self.load(reset=policy)

        # Three renders of each under each policy.
        count = int(np.clip(budget_s / 9 / (cost_ms / 1000), *SETTINGS))
        settings = self.settings(count, tame=False)
        # Some break at almost any random setting; near the defaults all of them sound.
        near = [self.space.from_raw(values) for values in settings[: SETTINGS[0] // 2]]
        settings = [
            # First: what a plugin starts with is where a reset that forgets to restore a value shows.
            self.defaults(),
            *settings[len(near) :],
            *(self.space.to_raw(towards_defaults(self.space, positions, 0.1)) for positions in near),
        ]
        return choose_reset(load, settings, audio, self.rate, policies=policies, budget_s=budget_s)

    def gain_to_name(self, gains: list[str]) -> str:
        """Keep the given output gain where it is one, else take the likeliest."""
        given = self.request.draft.output_gain
        return given if given in gains else gains[0] if gains else ""

    def warn(self, repeatability: float, failed: float, blocks: dict[str, float]) -> None:
        """Word what a user should know."""
        if repeatability > 1e-6:
            self.warnings.append(
                f"renders of the same settings differ by up to {repeatability:.2g} of the peak whatever is reset"
            )
        if failed > 0.01:
            self.warnings.append(
                f"{100 * failed:.0f} % of renders at random settings failed or were not finite; narrow the ranges"
            )
        worst = max(blocks.values(), default=0.0)
        if worst > 1e-2:
            self.warnings.append(f"its sound depends on the block size (up to {worst:.2g} of the peak); keep it")

    def tidy(self, profile: Profile, moves: tuple[Move, ...]) -> Profile:
        """Leave unused what can't be automated and what never moved the sound."""
        silent = {m.index for m in moves if m.effect_db <= SILENT_DB and m.bases >= SURE}
        controls: list[Control] = []
        meters = list(profile.meters)
        for control in profile.controls:
            if control.index in silent and profile.identity.format == "vst2":
                # VST2 has no flags: what never moves the sound is most often a meter.
                meters.append(Meter(name=control.name, index=control.index, why="silent"))
                continue
            use = control.automatable and control.index not in silent
            controls.append(msgspec.structs.replace(control, use=use))
        names = [c.name for c in controls if c.index in silent]
        if names:
            self.warnings.append(f"never moved the sound and left unused: {', '.join(names)}")
        return msgspec.structs.replace(
            profile,
            controls=tuple(controls),
            meters=tuple(sorted(meters, key=lambda entry: entry.index)),
        )


def work(parent: Parent) -> None:
    """Answer one request."""
    request = msgspec.convert(parent.request, Request)
    audit = Audit(request, parent)
    report = audit.run()
    parent.tell(report=msgspec.to_builtins(report))
    if request.only_table:
        return
    for name, test in hardening.TESTS.items():
        audit.stage(name)
        assert audit.instance is not None
        parent.tell(row={name: test(audit.instance, audit.defaults(), request.sample_rate)})


if __name__ == "__main__":
    serve(work)
