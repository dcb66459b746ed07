import doctest

import maskvid.printing


def test_a_table_is_whole_on_a_narrow_terminal():
    found = doctest.testmod(maskvid.printing)
    assert found.attempted == 3
    assert not found.failed
