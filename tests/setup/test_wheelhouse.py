"""A stick for a room without a network: made for the machines that are named, found, and refused with a reason."""

import json
import os
import re
import shutil
import sys

import pytest
from copied_checkout import Copy, wheel

from workshop.cloud import packaging
from workshop.setup.wheelhouse import Target, this_machine

BASE = sys._base_executable
UNREACHABLE = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "0", "UV_INDEX_URL": "http://127.0.0.1:9"}
FOLDERS = os.environ["PATH"].split(os.pathsep)
TOOLS = {
    "pip": {"PATH": os.pathsep.join(folder for folder in FOLDERS if not shutil.which("uv", path=folder))},
    "uv": {"PATH": os.environ["PATH"]},
}

PACKAGES = {  # one for each kind of marker that the learner's list has, and the packages that must be there
    "everywhere": "",
    "on_linux": " ; sys_platform == 'linux'",
    "on_windows": " ; os_name == 'nt'",
    "old": " ; python_full_version < '3.11.5'",
    "new": " ; python_full_version >= '3.11.5'",
}
HAVE = {
    "linux-3.11": {"everywhere", "on_linux", "old", "new"},
    "windows-3.13": {"everywhere", "on_windows", "new"},
    "macos-arm64-3.12": {"everywhere", "new"},
}


def index_at(index):
    return {"NO_INDEX": "1", "FIND_LINKS": str(index[0])}


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    """A folder with the packages, and the list that names them."""
    folder = tmp_path_factory.mktemp("index")
    entries = [wheel(folder, name).replace(" \\", f"{marker} \\", 1) for name, marker in PACKAGES.items()]
    return folder, "".join(entries)


def author_of(folder, index) -> Copy:
    """A checkout whose packages are installed."""
    copy = Copy(folder)
    (copy.folder / "requirements" / "learner.txt").write_text(index[1])
    copy.pretend_it_is_installed()
    return copy


def learner_of(folder, index) -> Copy:
    """A fresh checkout."""
    copy = Copy(folder)
    copy.is_built_without_hatchling()
    (copy.folder / "requirements" / "learner.txt").write_text(index[1])
    copy.replace_command("demo", "needed")
    return copy


@pytest.fixture(scope="module")
def made(tmp_path_factory, index):
    """The wheelhouse of an author for this machine and for those of HAVE, and what it said."""
    folder = tmp_path_factory.mktemp("author")
    author = author_of(folder / "kit", index)
    for architecture in packaging.ARCHITECTURES:  # as if they had been downloaded before
        for pin in packaging.lambda_requirements():
            name, version = pin.split("==")
            wheels = author.work / "wheels" / architecture
            wheels.mkdir(parents=True, exist_ok=True)
            (wheels / f"{name.replace('-', '_')}-{version}-{architecture}.whl").write_text("")
    targets = {*map(str, map(Target.named, HAVE)), str(this_machine())}
    options = [part for target in sorted(targets) for part in ("--for", target)]
    where = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(index[0])}
    done = author.run("wheelhouse", str(folder / "wheelhouse"), *options, **where)
    assert done.returncode == 0, done.stderr
    return folder / "wheelhouse", done.stderr


def test_each_machine_has_what_its_markers_ask_for_and_nothing_else(made):
    folder, said = made
    for target, packages in HAVE.items():
        counted = re.findall(rf"{Target.named(target)}: (\d+) packages", said)
        assert sum(map(int, counted)) == len(packages)
    assert {path.name.split("-")[0] for path in folder.glob("*.whl")} == set(PACKAGES)
    for_these = json.loads((folder / "made-for.json").read_text())["for"]
    assert set(for_these) == {str(Target.named(target)) for target in HAVE} | {str(this_machine())}


@pytest.mark.parametrize("tool", TOOLS)
def test_a_checkout_beside_it_is_installed_without_a_network_and_can_package(tmp_path, index, made, tool):
    if tool == "uv" and not shutil.which("uv"):
        pytest.skip("uv is not installed")
    learner = learner_of(tmp_path / "kit", index)
    shutil.copytree(made[0], tmp_path / "wheelhouse")
    done = learner.run("demo", python=BASE, **UNREACHABLE, **TOOLS[tool])
    assert done.returncode == 0, done.stderr
    assert f"with {tool}." in done.stderr
    [site_packages] = [path for path in learner.venv.rglob("site-packages") if path.is_dir()]
    assert "everywhere" in {path.stem for path in site_packages.glob("*.py")}
    for architecture in packaging.ARCHITECTURES:
        assert len(list((learner.work / "wheels" / architecture).iterdir())) == len(packaging.lambda_requirements())


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda record: record.update({"for": ["windows-x86_64-3.99"]}), ["windows-x86_64-3.99", str(this_machine())]),
        (lambda record: record.update(packages="another"), ["another version"]),
        (dict.clear, ["no wheelhouse"]),
    ],
)
def test_one_that_will_not_do_is_refused_where_it_was_named_and_passed_over_where_it_was_found(
    tmp_path, index, made, change, says
):
    learner = learner_of(tmp_path / "kit", index)
    stick = tmp_path / "wheelhouse"
    shutil.copytree(made[0], stick)
    record = json.loads((stick / "made-for.json").read_text())
    change(record)
    (stick / "made-for.json").write_text(json.dumps(record))
    named = learner.run("lab", "--from", str(stick), python=BASE, **UNREACHABLE)
    assert (named.returncode, "Traceback" in named.stderr) == (1, False)
    assert all(each in named.stderr for each in says)
    if record:
        places = {f"{tool}_{name}": value for tool in ("PIP", "UV") for name, value in index_at(index).items()}
        found = learner.run("demo", python=BASE, **places)
        assert found.returncode == 0, found.stderr
        assert "from the internet" in found.stderr


@pytest.mark.parametrize(
    "name", ["windows", "windows-2.7", "amiga-3.12", "macos-x86_64-3.12", "3.12", "windows-3.13.1"]
)
def test_a_machine_that_is_not_known_is_refused_with_those_that_are(name):
    with pytest.raises(ValueError, match="macos-arm64"):
        Target.named(name)


def test_a_folder_with_other_things_is_left_alone(tmp_path, index):
    author = author_of(tmp_path / "kit", index)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "mine.jpg").write_text("")
    done = author.run("wheelhouse", str(tmp_path / "photos"))
    assert done.returncode == 1
    assert "photos" in done.stderr
    assert [path.name for path in (tmp_path / "photos").iterdir()] == ["mine.jpg"]
