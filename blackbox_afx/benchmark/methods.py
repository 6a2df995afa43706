"""What is compared: controllers, settings that listen to nothing, and methods that make their audio themselves."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Protocol, cast, runtime_checkable

import numpy as np

from blackbox_afx.audio import resample
from blackbox_afx.benchmark.pairs import Pair
from blackbox_afx.errors import AudioError, UsageError
from blackbox_afx.networks.controller_file import ControllerCard, load_controller
from blackbox_afx.networks.style import StyleNetwork
from blackbox_afx.plugins.chain import ChainSpec
from blackbox_afx.transfer.rule_based import RuleBased

BASELINES = ("defaults", "random", "rb-dsp", "matchering")
CHAINLESS = ("rb-dsp", "matchering")
"""Those that need no chain."""
ORACLE = "oracle"
ON_PLUGINS = "-on-plugins"
"""What follows the name of a controller whose settings the plugins render beside its own audio."""
BATCH = 16


class Method(Protocol):
    """Something that sets a chain, which then renders."""

    name: str
    spec: ChainSpec

    def predict(self, pairs: Sequence[Pair], sample_rate: int) -> np.ndarray:
        """Give positions float64 [pairs, controls]."""
        ...


@runtime_checkable
class SelfRendering(Protocol):
    """Something that makes its audio itself, without plugins or in place of them."""

    name: str
    spec: ChainSpec | None
    """The chain it stands for, if it stands for one."""

    def render(self, pairs: Sequence[Pair], sample_rate: int) -> list[np.ndarray | None]:
        """Give audio float32 [samples] for each pair, as long as its source; None where it failed."""
        ...


AnyMethod = Method | SelfRendering


class ControllerMethod:
    """A learned controller.

    Parameters
    ----------
    name : str
    network : StyleNetwork
    card : ControllerCard
    """

    def __init__(self, name: str, network: StyleNetwork, card: ControllerCard) -> None:
        self.name, self.network, self.card, self.spec = name, network, card, card.spec

    def predict(self, pairs: Sequence[Pair], sample_rate: int) -> np.ndarray:
        """Give positions float64 [pairs, controls], stepped controls on their steps."""
        return self.spec.space.snap(self.positions(pairs, sample_rate))

    def positions(self, pairs: Sequence[Pair], sample_rate: int) -> np.ndarray:
        """Give positions float64 [pairs, controls] as the network says them.

        As in a transfer, the controller hears at the rate it was learned at, whatever rate the plugins render at.
        """
        rate = self.card.sample_rate
        heard = [
            tuple(
                self.network.prepare(resample(side[None], sample_rate, rate)[0], rate)
                for side in (pair.source, pair.reference)
            )
            for pair in pairs
        ]
        predicted = np.zeros((len(pairs), len(self.spec.space)))
        # What is prepared may be as long as the audio: pairs of one length go together.
        by_shape: dict[tuple[int, ...], list[int]] = {}
        for k, (source, _) in enumerate(heard):
            by_shape.setdefault(source.shape, []).append(k)
        for members in by_shape.values():
            for at in range(0, len(members), BATCH):
                some = members[at : at + BATCH]
                predicted[some] = self.network.positions(*(np.stack([heard[k][side] for k in some]) for side in (0, 1)))
        return predicted


class DefaultSettings:
    """The plugins as they come."""

    name = "defaults"

    def __init__(self, spec: ChainSpec) -> None:
        self.spec = spec

    def predict(self, pairs: Sequence[Pair], sample_rate: int) -> np.ndarray:
        """Give the defaults, once a pair."""
        return np.tile(self.spec.space.snap(self.spec.space.defaults), (len(pairs), 1))


class RandomSettings:
    """Settings by chance, drawn as the targets' are; a pair's depend on its index alone."""

    name = "random"

    def __init__(self, spec: ChainSpec, seed: int) -> None:
        self.spec, self.seed = spec, seed

    def predict(self, pairs: Sequence[Pair], sample_rate: int) -> np.ndarray:
        """Draw positions for each pair."""
        space = self.spec.space
        rows = [np.random.default_rng([self.seed, pair.index, 0x524E]).random(len(space)) for pair in pairs]
        return space.snap(np.stack(rows))


class RuleBasedMethod:
    """The rule-based baseline: no plugin, no chain."""

    name = "rb-dsp"
    spec: ChainSpec | None = None

    def __init__(self) -> None:
        self.rules = RuleBased()

    def render(self, pairs: Sequence[Pair], sample_rate: int) -> list[np.ndarray | None]:
        """Process each source towards its reference."""
        return [self._one(pair, sample_rate) for pair in pairs]

    def _one(self, pair: Pair, sample_rate: int) -> np.ndarray | None:
        try:
            return self.rules.process(pair.source, pair.reference, sample_rate)
        except AudioError:
            return None


def make_baseline(name: str, spec: ChainSpec | None, seed: int) -> AnyMethod:
    """Make a baseline by name.

    Raises
    ------
    UsageError
        There is none of that name, it needs a chain and there is none, or it is not installed.
    """
    if name == "rb-dsp":
        return RuleBasedMethod()
    if name == "matchering":
        from blackbox_afx.benchmark.matchering_method import Matchering

        return Matchering()
    if name not in BASELINES:
        raise UsageError(f"no baseline is called '{name}'; known: {', '.join(BASELINES)}")
    if spec is None:
        raise UsageError(f"the baseline '{name}' needs a chain; give a controller, or one of {', '.join(CHAINLESS)}")
    return DefaultSettings(spec) if name == "defaults" else RandomSettings(spec, seed)


def load_methods(
    paths: Sequence[str | os.PathLike[str]], *, on_plugins: Literal["", "also", "instead"] = ""
) -> list[ControllerMethod]:
    """Read controllers and name them apart.

    Parameters
    ----------
    paths : sequence of path
        Controller files. One called ``weights.safetensors`` goes by its folder's name; of two that would have one name,
        the later gets a number.
    on_plugins : {"", "also", "instead"}
        Let the plugins render the settings of controllers that were learned for another module's audio: as a further
        method NAME-on-plugins where the settings stand for controls, or instead of that module.

    Raises
    ------
    ControllerError
        A file can't be used.
    UsageError
        They were learned at different sample rates, so that no pairs suit them all.
    """
    methods: list[ControllerMethod] = []
    for path in map(Path, paths):
        stem = path.resolve().parent.name if path.stem == "weights" else path.stem
        name, count = stem, 1
        taken = {"input", ORACLE, *BASELINES, *(method.name for method in methods)}
        while taken & {name, name + ON_PLUGINS}:
            count += 1
            name = f"{stem}-{count}"
        network, card = load_controller(path)
        if on_plugins == "instead" and not card.means_controls:
            raise UsageError(
                f"{path}: its effect is a network of its own (cTCN), whose positions stand for no control of a plugin; "
                "leave out --on-plugins"
            )
        itself = card.renders_itself and on_plugins != "instead"
        if itself:
            from blackbox_afx.benchmark.own_audio import OwnAudioMethod

            methods.append(OwnAudioMethod(name, cast(StyleNetwork, network), card, path))
            name += ON_PLUGINS
        if not itself or (on_plugins and card.means_controls):
            methods.append(ControllerMethod(name, cast(StyleNetwork, network), card))
    rates = {method.card.sample_rate for method in methods}
    if len(rates) > 1:
        raise UsageError(
            f"the controllers were learned at {' and '.join(f'{rate} Hz' for rate in sorted(rates))}; "
            "expected one sample rate; benchmark them in separate calls"
        )
    return methods


def common_chain(methods: Sequence[Method]) -> ChainSpec:
    """Give the chain that all methods set.

    Raises
    ------
    UsageError
        They set different ones, so that no chain can make the targets of all.
    """
    first = methods[0].spec
    for method in methods[1:]:
        if method.spec.fingerprint() != first.fingerprint():
            same = " with other controls, ranges or settings" if method.spec.label == first.label else ""
            raise UsageError(
                f"{method.name} sets {method.spec.label}{same}, {methods[0].name} sets {first.label}; under the "
                "protocol 'self' all controllers of a call must set the same chain; benchmark them in separate calls"
            )
    return first
