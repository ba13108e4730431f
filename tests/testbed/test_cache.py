"""Bases that do not ship: built once, whole or not at all, found again by the digest of their recipe."""

import json
import subprocess
import sys

import pytest

from rlsd_cli.config.recipe import parse
from rlsd_cli.config.run import ModelConfig
from rlsd_cli.errors import UserError
from rlsd_cli.models.load import load_model, load_tokenizer, resolve
from rlsd_cli.testbed import cache

SMALL = "micro-base:steps=3,batch_size=8,width=16,layers=1,heads=2"


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("RLSD_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "bases"


@pytest.mark.parametrize("name", ["micro-base", "micro-base:citing=0.12", "micro-teacher", "micro-credit"])
def test_what_ships_is_not_built(name, place):
    assert cache.locate(name).parent == cache.ASSETS
    assert not place.exists()


def test_another_base_is_built_on_first_use_and_found_again(place, capfd):
    path = resolve(SMALL)
    assert path == str(place / cache.digest(parse(SMALL)))
    assert json.loads((place / cache.digest(parse(SMALL)) / "recipe.json").read_text())["width"] == 16
    assert "once, for 3 steps" in capfd.readouterr().err
    assert load_model(ModelConfig(path=SMALL)).config.hidden_size == 16
    assert load_tokenizer(SMALL).padding_side == "left"
    assert "pre-training" not in capfd.readouterr().err


def test_dials_in_another_order_are_the_same_base():
    assert parse("micro-base:seed=3,citing=0.5") == parse("micro-base:citing=0.50,seed=3")


def test_a_build_that_was_killed_is_begun_again(place, monkeypatch):
    from rlsd_cli.testbed import pretraining

    whole = pretraining.pretrain

    def killed(recipe, output_dir, on_step):
        whole(recipe, output_dir, on_step)
        raise KeyboardInterrupt

    monkeypatch.setattr(pretraining, "pretrain", killed)
    with pytest.raises(KeyboardInterrupt):
        cache.locate(SMALL)
    assert not (place / cache.digest(parse(SMALL))).exists()
    monkeypatch.setattr(pretraining, "pretrain", whole)
    assert (cache.locate(SMALL) / "model.safetensors").is_file()
    assert [path.suffix for path in place.iterdir() if path.is_dir()] == [""]


def test_two_processes_at_once_build_it_once(place):
    code = f"from rlsd_cli.testbed.cache import locate; print(locate({SMALL!r}))"
    started = [subprocess.Popen([sys.executable, "-c", code], stdout=-1, stderr=-1, text=True) for _ in range(2)]
    results = [process.communicate() for process in started]
    assert [process.returncode for process in started] == [0, 0], results
    assert len({out.splitlines()[-1] for out, _ in results}) == 1
    assert sum("once, for 3 steps" in err for _, err in results) == 1


def test_a_cache_that_cannot_be_written_is_told(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("RLSD_CACHE", str(tmp_path / "file"))
    with pytest.raises(UserError, match="set RLSD_CACHE to a directory that can be written"):
        cache.locate(SMALL)


def test_the_cache_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.delenv("RLSD_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache.cache_dir() == tmp_path / "xdg" / "rlsd" / "bases"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache.cache_dir() == tmp_path / "home" / ".cache" / "rlsd" / "bases"
