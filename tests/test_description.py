"""A run folder from a stranger is data: it can at worst be refused with a sentence."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import pytest

from maskvid.description import read_description
from maskvid.edit import edit
from maskvid.errors import UserError
from maskvid.evaluate import evaluate
from maskvid.generate import generate
from maskvid.pipeline import MaskVidPipeline
from maskvid.train import train
from tests.runs import configure, configure_generate
from tests.test_evaluate import configure_evaluate
from tests.test_requests import configure_edit


@pytest.fixture(scope="module")
def run(overrides, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    train(configure(overrides, f"run_dir={folder}", "method.trained=false", "trainer.limit_val_batches=0"))
    return folder


def altered(run: Path, folder: Path, change) -> Path:
    """A copy of a run whose description somebody has changed."""
    shutil.copytree(run / "adapter", folder / "adapter")
    path = folder / "adapter" / "adapter.json"
    content = json.loads(path.read_text())
    change(content["run"])
    path.write_text(json.dumps(content))
    return folder


def test_what_is_written_is_read(run):
    described = MaskVidPipeline.from_pretrained(run).run
    assert read_description(json.loads(json.dumps(asdict(described)))) == described


PLACES = {
    "scheduler": lambda run, node: run.update(scheduler=node),
    "scheduler_beside_a_name": lambda run, node: run["scheduler"].update(node),
    "scheduler_settings": lambda run, node: run["scheduler"]["settings"].update(node),
    "scheduler_setting": lambda run, node: run["scheduler"]["settings"].update(beta_schedule=node),
    "scheduler_name": lambda run, node: run["scheduler"].update(name=node["_target_"]),
    "clips": lambda run, node: run.update(clips=node),
    "clips_beside": lambda run, node: run["clips"].update(node),
    "clips_old_name": lambda run, node: run.update(data=node),
    "trainer": lambda run, node: run.update(trainer=node),
    "backbone": lambda run, node: run["backbone"].update(node),
    "backbone_path": lambda run, node: run["backbone"].update(path=node),
    "method": lambda run, node: run["method"].update(node),
    "unet": lambda run, node: run["method"]["unet"].update(node),
    "noise": lambda run, node: run["method"].update(noise=node),
    "sampling": lambda run, node: run["sampling"].update(node),
    "perturb": lambda run, node: run["sampling"].update(perturb=node),
    "precision": lambda run, node: run.update(precision=node),
    "callbacks": lambda run, node: run.update(callbacks={"a": node}),
}


@pytest.mark.parametrize("place", PLACES)
def test_nothing_that_it_names_is_run(run, triples, tmp_path, place):
    """A callable by its name wherever a description has room: `open` would leave a marker."""
    marker = tmp_path / "marker"
    node = {"_target_": "builtins.open", "_args_": [str(marker), "w"], "file": str(marker), "mode": "w"}
    bad = altered(run, tmp_path / "bad", lambda described: PLACES[place](described, node))
    requests = (
        lambda: generate(configure_generate(bad, triples, f"out={tmp_path / 'g'}")),
        lambda: edit(configure_edit(bad, triples, f"out={tmp_path / 'e'}")),
        lambda: evaluate(configure_evaluate(f"run={bad}", f"+sets.mine={triples}", f"out={tmp_path / 'v'}")),
    )
    for request in requests:
        with pytest.raises(UserError):
            request()
    assert not marker.exists()


def test_nothing_in_it_is_expanded(run, tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET", "plain")
    bad = altered(run, tmp_path, lambda described: described["backbone"].update(path="${oc.env:SECRET}"))
    with pytest.raises(UserError) as refused:
        MaskVidPipeline.from_pretrained(bad)
    assert "${oc.env:SECRET}" in str(refused.value)
    assert "plain" not in str(refused.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x: x.pop("method"), "method: Field required"),
        (lambda x: x["backbone"].pop("path"), "backbone.path: Field required"),
        (lambda x: x["clips"].pop("fps"), "clips.fps: Field required"),
        (lambda x: x["clips"].update(height="64"), "clips.height: Input should be a valid integer"),
        (lambda x: x["clips"].update(height=True), "clips.height: Input should be a valid integer"),
        (lambda x: x["clips"].update(height=0), "height=0: give 1 to 8192"),
        (lambda x: x["clips"].update(num_frames=10**9), "num_frames=1000000000: give 1 to 16384"),
        (lambda x: x["clips"].update(fps=float("nan")), "clips.fps"),
        (lambda x: x["clips"].update(train="folder"), "clips.train"),
        (lambda x: x["sampling"].update(num_inference_steps=10**6), "sampling.num_inference_steps"),
        (lambda x: x["sampling"].update(guidance_scale=-1), "sampling.guidance_scale"),
        (lambda x: x["method"]["noise"].update(alpha=2), "method.noise.alpha"),
        (lambda x: x["method"]["unet"].update(reference="everywhere"), "method.unet.reference"),
        (lambda x: x.update(seed=-1), "seed=-1"),
        (lambda x: x.update(precision="int8"), "precision='int8'"),
        (lambda x: x.update(more=1), "more: Unexpected keyword argument"),
    ],
)
def test_a_field_that_cannot_be_is_named(run, tmp_path, change, words):
    with pytest.raises(UserError, match=words):
        MaskVidPipeline.from_pretrained(altered(run, tmp_path, change))


def nested(depth):
    content: dict = {}
    for _ in range(depth):
        content = {"maskvid": content}
    return content


@pytest.mark.parametrize("content", [None, [], "text", 5, {}, nested(100), nested(900)])
def test_what_is_no_description_is_refused(content):
    with pytest.raises(UserError, match="Field required|Input should be|nested too deeply|Invalid JSON"):
        read_description(content)


def test_settings_of_a_scheduler_may_be_lists(overrides, tmp_path):
    more = ["scheduler.name=UniPCMultistepScheduler", "+scheduler.disable_corrector=[0]", "method.trained=false"]
    train(configure(overrides, *more, f"run_dir={tmp_path}", "trainer.limit_val_batches=0", "data.validation=null"))
    assert MaskVidPipeline.from_pretrained(tmp_path).run.scheduler.settings == {"disable_corrector": [0]}
