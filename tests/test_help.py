"""`--help` and `--cfg` of every program, as somebody asks who has no run yet."""

import subprocess
import sys

import pytest
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.global_hydra import GlobalHydra

from maskvid.config import CONF

PROGRAMS = ("train", "generate", "edit", "evaluate", "prepare", "draw", "report", "export", "dashboard", "pretrain")
HEAVY = ("torch", "lightning", "diffusers", "transformers", "wandb", "cv2", "scipy", "decord")
OTHERS = ("trainer", "callbacks", "logger", "scheduler")  # arguments of other people's objects, explained there
SHOW = f"""
import runpy, sys
for program in {PROGRAMS}:
    sys.argv = [program, "--help"]
    print("=====")
    try:
        runpy.run_module(f"maskvid.{{program}}", run_name="__main__")
    except SystemExit as end:
        assert not end.code
print("=====")
print(*(set({HEAVY}) & set(sys.modules)))
"""


@pytest.fixture(scope="module")
def shown() -> dict[str, str]:
    """What each program prints, and under `heavy` what was imported for it."""
    done = subprocess.run([sys.executable, "-c", SHOW], capture_output=True, text=True, check=True)
    parts = done.stdout.split("=====\n")
    return dict(zip((*PROGRAMS, "heavy"), parts[1:], strict=True))


def test_help_imports_nothing_heavy(shown):
    assert shown["heavy"].strip() == ""


@pytest.mark.parametrize("program", PROGRAMS)
def test_help_shows_usage_and_settings(program, shown):
    assert f"python -m maskvid.{program}" in shown[program]
    assert "Settings (key=value)" in shown[program]


@pytest.mark.parametrize("program", [program for program in PROGRAMS if program != "pretrain"])
def test_every_key_is_explained(program, shown):
    lines = shown[program].split("Settings (key=value)")[1].splitlines()[1:]
    keys = [i for i, line in enumerate(lines) if line.startswith("  ") and not line.startswith("   ")]
    assert len(keys) > 5
    for i in keys:
        key, _, value = lines[i].strip().partition("=")
        if not key.startswith(OTHERS) and value != "...":
            assert lines[i + 1].startswith("      "), f"{key} is not explained"


def test_explanations_come_from_docstrings_and_comments(shown):
    assert "backbone.controlnet=assets://mini_controlnet" in shown["train"]
    assert "A ControlNet that makes first frames follow their mask" in shown["train"]  # Backbone's docstring
    assert "# on held-out masks IoU .86" in shown["train"]  # conf/backbone/mini.yaml
    assert "adain_fraction=0.0    (0 to 1)" in shown["train"]
    assert "method: first_frame | lamp | maskvid" in shown["train"]
    assert "no_mask_input" in shown["train"]
    assert "sweep: ablation" in shown["train"]
    assert "sweep: mask_robustness" in shown["evaluate"]
    assert "seed=" not in shown["edit"]


def test_help_shows_the_configuration_asked_for():
    from maskvid.help import help_text

    text = help_text("train", ["+experiment=horse"])
    assert "optim.learning_rate=0.01" in text
    assert "data.height=64" in text


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_configuration_can_be_shown_resolved(program, capsys):
    GlobalHydra.instance().clear()
    try:
        hydra = Hydra.create_main_hydra2("maskvid", create_config_search_path(CONF))
        hydra.show_cfg(program, [], "job", None, resolve=True)
    finally:
        GlobalHydra.instance().clear()
    shown = capsys.readouterr().out
    assert "${" not in shown
    if program == "train":
        assert "run_dir: runs/" in shown


def test_libraries_draw_no_bars_into_a_log_file(tmp_path):
    """Only what is typed counts: `python -m`, with its output in a file."""
    code = "import sys; sys.argv = ['draw']; from maskvid.help import answer_help; answer_help('draw')"
    more = "from tqdm import tqdm; list(tqdm(range(3)))"
    done = subprocess.run([sys.executable, "-c", f"{code}; {more}"], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    bare = subprocess.run([sys.executable, "-c", more], capture_output=True, text=True, check=True)
    assert "3/3" in bare.stderr
