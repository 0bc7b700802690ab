"""WORKSHOP_HOME: a folder for each user of one checkout, which follows it and keeps what its user has done."""

import os
import stat

import pytest
from copied_checkout import Copy


@pytest.fixture
def shared(tmp_path, monkeypatch):
    """A checkout with two chapters, and a command to bring a user's folder up to date."""
    copy = Copy(tmp_path / "srv")
    for folder in ("notebooks", "exercises", "solutions"):
        (copy.folder / folder).mkdir()
        for number in ("01", "02"):
            (copy.folder / folder / f"{number}_chapter.ipynb").write_text(f'{{"{folder}": {number[1]}}}')
    command = '"""Prepares."""\nHELP = "prepares"\nPACKAGES = "not needed"\ndef add_arguments(parser): pass\n'
    command += "def run(args):\n    from workshop.jupyter import home\n    print(*home.prepare())\n"
    (copy.folder / "workshop" / "commands" / "demo.py").write_text(command)
    return copy


def test_it_follows_the_checkout_and_keeps_what_its_user_has_done(shared, tmp_path):
    home = tmp_path / "ana" / "workshop"
    variables = {"WORKSHOP_HOME": str(home)}
    assert shared.run("demo", **variables).stdout.strip() == ""
    one, two = (home / "notebooks" / f"{number}_chapter.ipynb" for number in ("01", "02"))
    assert one.read_text() == '{"notebooks": 1}'
    assert (home / "infra").is_symlink()
    if os.name != "nt":
        assert stat.S_IMODE((home / ".workshop").stat().st_mode) == 0o700

    one.write_text("mine")
    for path in (one, two):
        (shared.folder / "notebooks" / path.name).write_text('{"newer": true}')
    assert shared.run("demo", **variables).stdout.strip() == str(one)
    assert (one.read_text(), two.read_text()) == ("mine", '{"newer": true}')

    assert "is kept in" in shared.run("reset", "01", **variables).stdout
    assert one.read_text() == '{"newer": true}'
    assert [path.read_text() for path in (home / ".workshop" / "kept").iterdir()] == ["mine"]
    assert shared.run("demo", **variables).stdout.strip() == ""
