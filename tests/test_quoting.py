"""What is typed is what is meant, whatever Hydra's grammar has for it."""

import pytest
from hydra import compose, initialize_config_dir

from maskvid.config import CONF
from maskvid.entry import quote_values


def composed(*typed: str):
    with initialize_config_dir(CONF, version_base="1.3"):
        return compose("generate", overrides=quote_values(list(typed)))


PATHS = [
    "clip (1).npz", "a, b.npz", "[draft] x.npz", "x=1.npz", "it's.npz", 'a "b".npz', "a:b.npz", "ümlaut/馬.npz",
    "100%.npz", "{a}.npz", "a;b&c.npz", "back\\slash.npz", "back\\", "a  b", "@x", "!x", "null.npz",
    "plain/a-b_c.npz", "a#b.npz", "-x.npz",
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_paths_are_taken_as_they_stand(path):
    config = composed(f"masks={path}", f"out={path}", f"run={path}", f"first_frame={path}", f"backbone.path={path}")
    for found in (config.masks, config.out, config.run, config.first_frame, config.backbone.path):
        assert found == path


@pytest.mark.parametrize(
    "prompt",
    [
        "[a fox] runs, fast", "a\\b", 'say "hi"', "it's [a fox]", "${oc.env:HOME}", "\\${x}", "5", "null",
        "true", "a=b", "[a fox]", "{x}",
        "ends with \\", "[a fox] (1)", "a: b", "日本 [の馬]", "$x ${y", "1,2",
    ],
)  # fmt: skip
def test_prompts_are_text(prompt):
    config = composed(f"prompt={prompt}")
    assert config.prompt == prompt
    assert composed(f"prompt={prompt}", "seed=3").seed == 3


def test_blanks_at_the_ends_of_a_path_belong_to_it():
    assert composed("masks= first.npz").masks == " first.npz"
    assert composed("masks=last ").masks == "last "


def test_lists_of_quoted_prompts_numbers_and_lists_stay_what_they_are():
    config = composed("prompt=['[a fox] runs','a bird']", "run=[a,b]", "seed=3", "mix=[0.5,0.5]", "first_frame=null")
    assert list(config.prompt) == ["[a fox] runs", "a bird"]
    assert list(config.run) == ["a", "b"]
    assert (config.seed, list(config.mix), config.first_frame) == (3, [0.5, 0.5], None)
    assert quote_values(["-m", "seed=1,2", "masks=a,b"]) == ["-m", "seed=1,2", "masks=a,b"]
    assert quote_values(["seed=1,2"]) == ['seed="1,2"']
    assert quote_values(["--cfg", "job", "+sets.mine=a b", "~callbacks.ema"]) == [
        "--cfg", "job", "+sets.mine=a b", "~callbacks.ema",
    ]  # fmt: skip


def test_quoting_twice_changes_nothing():
    """Processes that Lightning starts are given the arguments once more."""
    once = quote_values([f"masks={path}" for path in PATHS] + ["prompt=[a fox] ${x}"])
    assert quote_values(once) == once
