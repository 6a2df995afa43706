"""Chains as they are typed: plugins in order, in quotes."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from typing import TYPE_CHECKING

from blackbox_afx.cli.console import note
from blackbox_afx.errors import UsageError

if TYPE_CHECKING:
    from blackbox_afx.plugins.chain_spec import ChainSpec


def find_chains(texts: Iterable[str]) -> list[ChainSpec]:
    """Find the plugins of each chain, such as "zam_eq2 zam_comp"; empty ones are left out.

    Raises
    ------
    PluginError, ProfileError, ShelfError, UsageError
    """
    from blackbox_afx.plugins.chain_spec import ChainSpec
    from blackbox_afx.plugins.resolve import resolve_plugin

    chains = []
    for text in texts:
        try:
            tokens = shlex.split(text)
        except ValueError as error:
            raise UsageError(f"--chain {text!r}: {error}; expected plugins, for example 'zam_eq2 zam_comp'") from None
        if tokens:
            chains.append(ChainSpec(profiles=tuple(resolve_plugin(token, note=note) for token in tokens)))
    return chains
