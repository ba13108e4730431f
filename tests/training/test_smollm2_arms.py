"""Every arm on SmolLM2-135M: two steps, and a resumed run that is the same to the bit; by `make test-slow`."""

import json

import pytest
from safetensors.torch import load_file

from rlsd_cli.arms import ARMS
from rlsd_cli.arms.configure import build, preset_layer
from rlsd_cli.errors import UserError
from rlsd_cli.models.load import resolve
from rlsd_cli.training.run import train

SMALL = {
    "train": {"steps": 2, "save_every": 1, "threads": 1, "prompts_per_step": 2, "group_size": 2},
    "log": {"probe_every": 2, "probe_prompts": 1, "probe_group": 2},
}


class Stopped(Exception):
    """Stands for whatever ends a process."""


def stop_at_two(record):
    if record["step"] == 2:
        raise Stopped


def here() -> bool:
    try:
        resolve("smollm2")
    except UserError:
        return False
    return True


@pytest.mark.slow
@pytest.mark.skipif(not here(), reason="SmolLM2 is not on this machine (docs/smollm2.md)")
@pytest.mark.parametrize("method", ARMS)
def test_an_arm_trains_on_smollm2_and_resumes_to_the_bit(tmp_path, method):
    like = "grpo" if method == "opd" else method  # no preset has a larger model of its vocabulary: its own will do
    layer = preset_layer("smollm2", like) | {"method": method}
    external = {"teacher": {"model": "smollm2"}} if method == "opd" else {}
    config = build([layer, SMALL, external])
    whole = train(config, tmp_path / "whole")
    with pytest.raises(Stopped):
        train(config, tmp_path / "again", on_step=stop_at_two)
    resumed = train(config, tmp_path / "again", resume=True)
    attempts = json.loads(resumed.provenance_file.read_text())["attempts"]
    assert [attempt["from_step"] for attempt in attempts] == [0, 1]
    timeless = [
        [{key: value for key, value in line.items() if not key.startswith("time/")} for line in run.metrics()]
        for run in (whole, resumed)
    ]
    assert json.dumps(timeless[0]) == json.dumps(timeless[1])  # as text, for NaN is not itself
    mine, theirs = (load_file(run.model_dir / "model.safetensors") for run in (resumed, whole))
    assert all((mine[name] == theirs[name]).all() for name in theirs)
