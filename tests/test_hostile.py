"""What a stranger sends is data: it can at worst be refused with a sentence."""

import importlib
import re

import pytest
from hydra import compose, initialize_config_dir

from maskvid.config import CONF
from maskvid.entry import mistakes_told, quote_values
from tests.hostile import KINDS, Grounds

WAYS = [(kind, name) for kind, ways in KINDS.items() for name in ways]


def carry_out(argv):
    """What the program does, within this process; a mistake is told as there, anything else is a traceback."""
    program = argv[0].removeprefix("maskvid.")
    function = getattr(importlib.import_module(argv[0]), program)
    with mistakes_told():
        with initialize_config_dir(CONF, version_base="1.3"):
            config = compose(program, overrides=quote_values(argv[1:]))
        function(config)


@pytest.fixture(scope="module")
def grounds(tmp_path_factory):
    return Grounds(tmp_path_factory.mktemp("grounds"))


@pytest.mark.parametrize(("kind", "name"), WAYS)
def test_nothing_is_run_and_a_sentence_says_why(grounds, tmp_path, capsys, kind, name):
    way = KINDS[kind][name](grounds, tmp_path, name)
    status = 0
    try:
        carry_out(way.argv)
    except SystemExit as ended:
        status = ended.code
    assert not way.marker.exists()
    said = capsys.readouterr().err
    if way.refused:
        assert status == 1, "it was accepted"
    if status:
        assert "error:" in said
        assert re.search(way.words, said), said
