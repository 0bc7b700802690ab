"""Which agent pyngrok runs, what is never touched, and what the real agent's errors come out as."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from pyngrok import conf, installer, ngrok
from pyngrok.exception import (
    PyngrokError,
    PyngrokNgrokError,
    PyngrokNgrokHTTPError,
    PyngrokNgrokInstallError,
    PyngrokNgrokURLError,
)
from pyngrok.log import NgrokLog

from workshop.lab import tunnel


def no_network(*command) -> list[str]:
    """The command in a network namespace of its own, which has nothing but loopback."""
    script = 'ip link set lo up && exec "$@"'
    return ["unshare", "--map-root-user", "--net", "sh", "-c", script, "sh", *map(str, command)]


def has_namespaces() -> bool:
    return bool(shutil.which("unshare")) and subprocess.run(no_network("true"), capture_output=True).returncode == 0


@pytest.fixture(autouse=True)
def pyngrok_as_it_was(monkeypatch):
    def download(*args, **kwargs):
        raise AssertionError("pyngrok tried to download ngrok")

    monkeypatch.setattr(installer, "_download_file", download)
    before = conf.get_default()
    yield
    tunnel.restore()
    conf.set_default(before)


def test_without_an_authtoken_the_offline_agent_is_used_and_says_so(tmp_path):
    said = tunnel.configure(tmp_path, None)
    assert "offline agent" in said
    assert "stays on this machine" in said
    assert ngrok.get_version()[0].endswith("workshop-offline")


WITHOUT_NETWORK = """
import pathlib, sys, threading, urllib.request
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pyngrok import ngrok
from workshop.lab import tunnel
server = HTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler)
threading.Thread(target=server.serve_forever, daemon=True).start()
tunnel.configure(pathlib.Path(sys.argv[1]), None)
print(urllib.request.urlopen(ngrok.connect(server.server_port).public_url).status)
"""


@pytest.mark.skipif(not has_namespaces(), reason="no network namespaces here (Linux has them, not for everybody)")
def test_a_machine_without_any_network_reaches_its_own_django_through_the_tunnel(tmp_path):
    command = no_network(sys.executable, "-c", WITHOUT_NETWORK, tmp_path)
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "200", done.stderr


def test_with_an_authtoken_the_real_agent_is_used_and_says_so(tmp_path):
    before = conf.get_default()
    said = tunnel.configure(tmp_path, "a-token")
    assert "REAL" in said
    assert "a-token" not in said
    assert conf.get_default().auth_token == "a-token"
    assert conf.get_default().ngrok_path == conf.DEFAULT_NGROK_PATH
    tunnel.restore()
    assert conf.get_default() is before


def test_restore_ends_the_agent(tmp_path):
    tunnel.configure(tmp_path, None)
    agent = psutil.Process(ngrok.get_ngrok_process().proc.pid)
    tunnel.restore()
    tunnel.restore()
    assert not agent.is_running()


def test_a_configuration_of_the_learners_own_finds_the_offline_agent_too_also_after_the_lab(tmp_path):
    tunnel.configure(tmp_path, None)
    own = conf.PyngrokConfig(monitor_thread=False)
    assert ngrok.connect(9, pyngrok_config=own).public_url.startswith("http://127.0.0.1:")
    tunnel.restore()
    assert ngrok.connect(9, pyngrok_config=conf.PyngrokConfig()).public_url.startswith("http://127.0.0.1:")


def test_configured_twice_the_first_agent_ends(tmp_path):
    tunnel.configure(tmp_path, None)
    first = psutil.Process(ngrok.get_ngrok_process().proc.pid)
    tunnel.configure(tmp_path, None)
    assert not first.is_running()


def test_a_missing_executable_names_the_command_that_installs_it(tmp_path, monkeypatch):
    monkeypatch.setattr(tunnel.sysconfig, "get_path", lambda name: str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(tunnel.TunnelError, match=r"pip install -r requirements\.txt"):
        tunnel.configure(tmp_path, None)


def test_an_executable_elsewhere_on_the_path_is_found(tmp_path, monkeypatch):
    scripts = tunnel.sysconfig.get_path("scripts")
    monkeypatch.setattr(tunnel.sysconfig, "get_path", lambda name: str(tmp_path))
    monkeypatch.setenv("PATH", scripts)
    tunnel.configure(tmp_path, None)
    assert Path(conf.get_default().ngrok_path).parent == Path(scripts)


NOTEBOOK = """
import json, sys
from pathlib import Path
from pyngrok import ngrok
from workshop.lab import tunnel
tunnel.configure(Path(sys.argv[1]), None)
tunnels = [ngrok.connect(9), ngrok.connect(9)]
print(json.dumps([ngrok.get_ngrok_process().proc.pid, *(t.public_url for t in tunnels)]), flush=True)
sys.stdin.read()
"""


def start_notebook(folder, **environment):
    folder.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", NOTEBOOK, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )
    return process, json.loads(process.stdout.readline())


def end(process, how):
    how()
    process.wait(10)
    process.stdin.close()
    process.stdout.close()


def test_several_notebooks_have_an_agent_each_and_a_persons_own_configuration_is_left_alone(tmp_path):
    home = tmp_path / "home"
    own = home / ".config" / "ngrok" / "ngrok.yml"
    own.parent.mkdir(parents=True)
    theirs = "version: 3\nendpoints:\n- name: pyngrok-default\n  upstream:\n    url: tcp://localhost:22\n"
    own.write_text(theirs, encoding="utf-8")  # read, it would decide what connect() opens
    environment = {"HOME": str(home), "USERPROFILE": str(home), "XDG_CONFIG_HOME": str(home / ".config")}
    first, (first_agent, *first_urls) = start_notebook(tmp_path / "a", **environment)
    second, (second_agent, *second_urls) = start_notebook(tmp_path / "b", **environment)
    assert first_agent != second_agent
    assert len({*first_urls, *second_urls}) == 4
    agents = [psutil.Process(pid) for pid in (first_agent, second_agent)]
    end(first, first.terminate)  # killed on Windows, where terminate() is TerminateProcess
    assert psutil.wait_procs(agents[:1], timeout=5)[0]
    assert agents[1].is_running()
    end(second, second.stdin.close)  # a normal exit
    assert psutil.wait_procs(agents[1:], timeout=5)[0]
    assert [path.name for path in home.rglob("*") if path.is_file()] == ["ngrok.yml"]
    assert own.read_text(encoding="utf-8") == theirs


def error_of_agent(text):
    return PyngrokNgrokError(f"The ngrok process errored on start: {text}.", [], text)


RECONNECTING = NgrokLog(
    't=2026-01-01T00:00:00+0000 lvl=eror msg="failed to reconnect session" obj=tunnels.session '
    'err="failed to dial ngrok server: dial tcp: lookup connect.ngrok-agent.com: no such host"'
)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (PyngrokNgrokInstallError("An error occurred while downloading ngrok from https://bin"), "could not download"),
        (error_of_agent("authentication failed: does not look like ... ERR_NGROK_105"), "refused the NGROK_AUTHTOKEN"),
        (error_of_agent("authentication failed: properly formed ... ERR_NGROK_107"), "refused the NGROK_AUTHTOKEN"),
        (error_of_agent("authentication failed: not authenticated ERR_NGROK_4018"), "refused the NGROK_AUTHTOKEN"),
        (error_of_agent("limited to 1 simultaneous agent sessions\nERR_NGROK_108"), "allows no further agent"),
        (error_of_agent('dial tcp: lookup "connect.ngrok-agent.com": no such host'), "could not reach ngrok"),
        (PyngrokNgrokError("The ngrok process was unable to start.", [RECONNECTING]), "could not reach ngrok"),
    ],
)
def test_the_real_agents_errors_become_a_sentence_and_what_to_do(error, sentence):
    said = tunnel.explain(error)
    assert sentence in said
    assert "remove NGROK_AUTHTOKEN from .env" in said
    assert "\n" not in said


def test_any_other_error_is_quoted_without_the_authtoken(tmp_path):
    tunnel.configure(tmp_path, "secret-token")
    assert tunnel.explain(PyngrokError("odd: secret-token\nmore")) == "ngrok says: odd: <authtoken>"
    assert tunnel.explain(PyngrokNgrokURLError("ngrok client exception, URLError: timed out", "timed out")) == (
        "ngrok says: ngrok client exception, URLError: timed out"
    )


def test_what_the_agent_refuses_is_told_in_the_agents_own_words(tmp_path):
    tunnel.configure(tmp_path, None)
    with pytest.raises(PyngrokNgrokHTTPError) as refusal:
        ngrok.connect(22, proto="tcp")
    assert tunnel.explain(refusal.value).startswith("ngrok says: the offline agent forwards HTTP alone, not tcp://.")
