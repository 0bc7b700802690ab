"""The deployment zip: the same bytes every time, and all that the function needs."""

import json
import os
import shutil
import subprocess
import sys
import zipfile

import pytest

from workshop.cloud import packaging
from workshop.cloud.packaging import PackagingError, lambda_requirements, package, package_installed

HANDLE_ONE_EVENT = """
import json, sys
sys.path[:0] = [sys.argv[1]]
from lambda_function import lambda_handler
body = json.dumps({"apps": [{"endpoint": sys.argv[2], "key": "k"}], "data": {"image_id": 1}})
print(json.dumps(lambda_handler({"Records": [{"messageId": "m-1", "body": body}]}, None)))
"""


def unpacked(path, folder):
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder)
    return folder


def handle_one_event(python, folder, receiver):
    """Run the function from `folder` in an interpreter that sees nothing else; its result."""
    done = subprocess.run(
        [python, "-I", "-S", "-c", HANDLE_ONE_EVENT, folder, f"{receiver.url}/api/v1/image-processing-sync"],
        capture_output=True,
        text=True,
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def x86_64(tmp_path_factory):
    """The zip for AWS Lambda on x86_64, with wheels from PyPI or the cache."""
    try:
        return package("x86_64", folder=tmp_path_factory.mktemp("package"))
    except PackagingError as error:
        if "cannot be reached" in str(error):
            pytest.skip("PyPI cannot be reached, and the wheels are not cached")
        raise


def test_unpacked_alone_the_function_handles_an_event(tmp_path, receiver):
    folder = unpacked(package_installed(folder=tmp_path).path, tmp_path / "task")
    result = handle_one_event(sys.executable, folder, receiver)
    assert result["batchItemFailures"] == []
    (request,) = receiver.requests
    assert json.loads(request.body) == {"image_id": 1}
    assert request.headers["Authorization"] == "Token k"


def test_without_the_wheels_it_does_not(tmp_path, receiver):
    shutil.copy(packaging.LAMBDA_FUNCTION, tmp_path)
    with pytest.raises(AssertionError, match="No module named 'aiohttp'"):
        handle_one_event(sys.executable, tmp_path, receiver)


@pytest.mark.skipif(
    sys.platform != "linux" or os.uname().machine != "x86_64", reason="runs the zip made for Linux on x86_64"
)
def test_lambdas_own_zip_handles_an_event_on_lambdas_python(x86_64, tmp_path, receiver):
    python = shutil.which("python3.13")
    if not python or subprocess.run([python, "-c", ""], capture_output=True).returncode:
        pytest.skip("there is no Python 3.13 here")
    result = handle_one_event(python, unpacked(x86_64.path, tmp_path), receiver)
    assert result["batchItemFailures"] == []


def test_the_same_input_gives_the_same_bytes(tmp_path, monkeypatch):
    function = tmp_path / "lambda_function.py"
    monkeypatch.setattr(packaging, "LAMBDA_FUNCTION", shutil.copy(packaging.LAMBDA_FUNCTION, function))
    first = package_installed(folder=tmp_path / "1")
    os.utime(function, (0, 0))  # another time of change, the same content
    second = package_installed(folder=tmp_path / "2")
    assert first.path.read_bytes() == second.path.read_bytes()
    assert first.digest == second.digest


def test_another_function_gives_another_digest(tmp_path, monkeypatch):
    before = package_installed(folder=tmp_path)
    changed = tmp_path / "lambda_function.py"
    changed.write_text("# changed\n")
    monkeypatch.setattr(packaging, "LAMBDA_FUNCTION", changed)
    assert package_installed(folder=tmp_path).digest != before.digest


def test_names_are_sorted_times_and_permissions_fixed_and_caches_left_out(tmp_path):
    with zipfile.ZipFile(package_installed(folder=tmp_path).path) as archive:
        entries = archive.infolist()
    names = [entry.filename for entry in entries]
    assert names == sorted(names)
    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}
    assert {entry.create_system for entry in entries} == {3}
    assert {entry.external_attr >> 16 for entry in entries} == {0o100644, 0o100755}
    assert not [name for name in names if name.endswith(".pyc") or "__pycache__" in name]


@pytest.mark.parametrize("architecture", ["arm64", "x86_64"])
def test_the_compiled_wheels_are_those_of_lambdas_processor_and_python(architecture, tmp_path):
    try:
        made = package(architecture, folder=tmp_path)
    except PackagingError as error:
        if "cannot be reached" not in str(error):
            raise
        pytest.skip("PyPI cannot be reached, and the wheels are not cached")
    machine = {"arm64": "aarch64", "x86_64": "x86_64"}[architecture]
    with zipfile.ZipFile(made.path) as archive:
        compiled = [name for name in archive.namelist() if name.endswith(".so")]
    assert compiled
    assert [name for name in compiled if f"cpython-313-{machine}-linux-gnu" not in name] == []
    assert made.size < 10e6
    assert made.contents == ("lambda_function.py", *lambda_requirements())


def test_versions_are_those_of_the_requirements_file_and_only_what_python_313_needs():
    pins = lambda_requirements()
    lines = packaging.REQUIREMENTS.read_text().splitlines()
    assert set(pins) <= {line.split(" ;")[0] for line in lines}
    names = [pin.split("==")[0] for pin in pins]
    assert "aiohttp" in names
    assert "typing-extensions" not in names  # aiosignal wants it before Python 3.13 alone


def test_without_a_network_a_sentence_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(packaging, "LAMBDA_WHEELS", tmp_path)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")  # the discard port: nobody listens
    monkeypatch.setenv("PIP_RETRIES", "0")
    with pytest.raises(PackagingError, match="PyPI cannot be reached.*needed once"):
        package("arm64", folder=tmp_path)


def test_an_unknown_architecture_is_refused_with_the_two_there_are():
    with pytest.raises(PackagingError, match="'riscv'. Say arm64 or x86_64"):
        package("riscv")


def test_the_command_says_size_and_contents(x86_64):
    done = subprocess.run(
        [sys.executable, "-m", "workshop", "package", "--arch", "x86_64"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "MB, unzipped" in done.stdout
    assert "  lambda_function.py\n" in done.stdout
    assert "  aiohttp==" in done.stdout
