"""The run's folder: what may be replaced, and files that were cut short."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from blackbox_afx.errors import ControllerError, OutputError
from blackbox_afx.plugins.builtins import builtin_profile
from blackbox_afx.train.learn import Run
from blackbox_afx.train.recipe import Recipe
from blackbox_afx.train.run_folder import RunFolder, load_tensors, optimizer_tensors, restore_optimizer


def test_nothing_is_replaced_unasked(tmp_path):
    out = tmp_path / "c.afx"
    out.write_text("mine")
    with pytest.raises(OutputError, match="--force"):
        RunFolder(out)
    out.unlink()
    RunFolder(out)
    with pytest.raises(OutputError, match="--resume"):
        RunFolder(out)
    with pytest.raises(OutputError, match="leave out --resume"):
        RunFolder(tmp_path / "d.afx", resume=True)
    with pytest.raises(OutputError, match="is a folder"):
        RunFolder(tmp_path)


def test_force_begins_afresh_and_a_resume_of_it_need_not_be_forced(tmp_path):
    out = tmp_path / "c.afx"
    out.write_text("old")
    RunFolder(out, force=True).write_json("plan.json", 1)
    assert RunFolder(out, resume=True).read_json("plan.json") == 1
    assert RunFolder(out, force=True).read_json("plan.json") is None


def test_an_unwritable_place_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file" / "c.afx", tmp_path / ("x" * 300)):
        with pytest.raises(OutputError):
            RunFolder(out)
    (tmp_path / "d.afx.run").write_text("not a folder")
    for force in (False, True):
        with pytest.raises(OutputError):
            RunFolder(tmp_path / "d.afx", force=force)


@pytest.mark.parametrize("keep", [0, 10, 100, 0.5, 0.99])
def test_a_shard_that_was_cut_short_is_made_again(tmp_path, keep):
    folder = RunFolder(tmp_path / "c.afx")
    folder.write_shard(3, {"dry": np.zeros((4, 5), np.float16)})
    assert folder.has_shard(3)
    assert folder.read_shard(3)["dry"].shape == (4, 5)
    whole = folder.shard_path(3).read_bytes()
    folder.shard_path(3).write_bytes(whole[: int(keep * len(whole)) if isinstance(keep, float) else keep])
    assert not folder.has_shard(3)
    assert folder.read_shard(3) is None
    assert folder.read_shard(4) is None


def test_json_that_was_cut_short_is_one_line(tmp_path):
    folder = RunFolder(tmp_path / "c.afx")
    (folder.path / "run.json").write_text('{"chain": ')
    with pytest.raises(OutputError, match="start afresh"):
        folder.read_json("run.json")
    folder.log(stage="a", why="b")
    folder.log(stage="c")
    assert [json.loads(row)["stage"] for row in (folder.path / "log.jsonl").read_text().splitlines()] == ["a", "c"]


def test_weights_that_were_cut_short_are_named(tmp_path):
    path = tmp_path / "w.safetensors"
    save_file({"a": torch.ones(100)}, path)
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(ControllerError, match="cut short"):
        load_tensors(path)
    with pytest.raises(ControllerError, match="no such file"):
        load_tensors(tmp_path / "none")


def test_an_optimizer_comes_back_as_it_was():
    weight = torch.nn.Parameter(torch.ones(3))
    first = torch.optim.AdamW([weight], lr=0.1)
    weight.sum().backward()
    first.step()
    second = torch.optim.AdamW([weight], lr=0.1)
    restore_optimizer(second, optimizer_tensors(first))
    for slot, content in first.state[weight].items():
        assert torch.equal(content, second.state[weight][slot])


def test_what_was_kept_is_never_dropped(tmp_path):
    for kept in ("plan.json", "proxies", ""):
        folder = RunFolder(tmp_path / "c.afx", force=True)
        if kept:
            (folder.path / kept).mkdir()
        folder.drop_if_nothing_was_kept()
        assert folder.path.exists() == bool(kept)
    RunFolder(tmp_path / "c.afx")
    RunFolder(tmp_path / "c.afx", resume=True).drop_if_nothing_was_kept()
    assert (tmp_path / "c.afx.run").exists()


def sitting(folder: Path, *, resume: bool) -> Run:
    return Run(
        [builtin_profile("Gain")],
        folder,
        out=folder / "c.afx",
        minutes=1.0,
        recipe=Recipe(method="regression"),
        jobs=1,
        resume=resume,
    )


def test_what_a_sitting_noted_is_there_in_the_next(tmp_path):
    sitting(tmp_path, resume=False).note("proxies", {"mine": 0.9})
    later = sitting(tmp_path, resume=True)
    assert later.noted["proxies"] == {"mine": 0.9}
    later.note("proxies", {})
    later.note("responses", {"error_db": 0.5})
    # Whether it began from the trunk every sitting sees for itself.
    expected = {"pretrained": True, "proxies": {"mine": 0.9}, "responses": {"error_db": 0.5}}
    assert sitting(tmp_path, resume=True).noted == expected


def test_a_run_whose_feature_proxy_another_version_made_is_not_gone_on_with(tmp_path):
    """Its checkpoint would not fit; versions before wrote nothing of it."""
    place = sitting(tmp_path, resume=False).folder.path / "run.json"
    identity = json.loads(place.read_text())
    sitting(tmp_path, resume=True)
    del identity["feature proxy"]
    place.write_text(json.dumps(identity))
    with pytest.raises(OutputError, match="begun with another feature proxy"):
        sitting(tmp_path, resume=True)
