"""A plugin that ends its process, or never answers, costs a named error and leaves nothing behind."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from blackbox_afx.errors import PluginError
from blackbox_afx.plugins.control import Control
from blackbox_afx.plugins.profile import Identity, Profile
from blackbox_afx.transfer.style_controller import StyleController
from tests.plugins.broken_plugins import compile_plugin
from tests.transfer.untrained import untrained

GAIN = Control(name="Gain", index=0, minimum=-6, maximum=6, default=0, plugin_minimum=-6, plugin_maximum=6)


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        ("segv", "died"),
        ("leave", "died"),
        pytest.param("hang", "no answer", marks=pytest.mark.slow),
        ("not_a_plugin", "can't be loaded"),
    ],
)
def test_a_transfer_through_a_broken_plugin_is_one_line_and_no_file(tmp_path, kind, word):
    file = compile_plugin(tmp_path, kind) if kind != "not_a_plugin" else tmp_path / "text.vst3"
    if kind == "not_a_plugin":
        file.write_text("no plugin")
    identity = Identity(format="vst3", file=str(file), plugin_name="Broken")
    controller = untrained(tmp_path / "c.safetensors", [Profile(name="broken", identity=identity, controls=(GAIN,))])
    sound = (0.1 * np.random.default_rng(0).standard_normal(24000 * 3)).astype(np.float32)
    soundfile.write(tmp_path / "in.wav", sound, 24000)
    before = {path.name for path in tmp_path.iterdir()}
    with pytest.raises(PluginError, match=word) as caught:
        StyleController.load(controller).transfer(tmp_path / "in.wav", tmp_path / "in.wav", out=tmp_path / "out.wav")
    assert "Broken" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert {path.name for path in tmp_path.iterdir()} == before
