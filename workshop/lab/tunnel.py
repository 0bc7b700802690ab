"""Decides what `ngrok.connect(port)` runs: the real ngrok agent, or the kit's offline agent.

tunnel.configure(folder, authtoken=None)     # -> which one, in words
ngrok.connect(8000)                          # pyngrok, as always
tunnel.restore()
"""

import json
import os
import shutil
import sysconfig
from pathlib import Path

from pyngrok import conf, ngrok
from pyngrok.exception import PyngrokError, PyngrokNgrokHTTPError, PyngrokNgrokInstallError

from workshop.foreseen import Foreseen
from workshop.run_folders import run_folder

EXECUTABLE = "workshop-offline-ngrok"
GO_OFFLINE = "Or remove NGROK_AUTHTOKEN from .env to go on with the offline agent."

# What the real agent's errors mean: https://ngrok.com/docs/errors
REFUSED_TOKEN = ("ERR_NGROK_105", "ERR_NGROK_106", "ERR_NGROK_107", "ERR_NGROK_4018")
TOO_MANY_AGENTS = "ERR_NGROK_108"
NO_NETWORK = ("dial tcp", "no such host", "i/o timeout", "failed to dial", "unable to start", "connection refused")


class TunnelError(Foreseen):
    """No tunnel can be opened. The message says why and what to do."""


_before: conf.PyngrokConfig | None = None
REAL_AGENT = conf.DEFAULT_NGROK_PATH, conf.DEFAULT_CONFIG_PATH


def configure(folder: Path, authtoken: str | None) -> str:
    """Point pyngrok at the agent to use, with a configuration file in `folder`. Returns which one, in words.

    With an authtoken pyngrok runs the real agent, and downloads it if need be. Without one nothing is downloaded,
    and the person's own ngrok configuration is neither read nor changed. Raises TunnelError where the offline
    agent is not installed.
    """
    global _before
    restore()
    # A session of its own: an interrupted cell (Ctrl-C goes to the whole group) must not end the agent.
    if authtoken:
        conf.DEFAULT_NGROK_PATH, conf.DEFAULT_CONFIG_PATH = REAL_AGENT
        _before = conf.get_default()
        conf.set_default(conf.PyngrokConfig(auth_token=authtoken, start_new_session=os.name == "posix"))
        return "ngrok, REAL: ngrok.connect() makes this machine reachable from the internet"
    agent = offline_agent()
    config_path = folder / "ngrok.yml"
    config_path.write_text("version: 3\n", encoding="utf-8")
    run_folder()  # the agent dies with the process that has it
    # Where pyngrok looks unless it is told: a PyngrokConfig of the learner's own finds the offline agent, too.
    conf.DEFAULT_NGROK_PATH, conf.DEFAULT_CONFIG_PATH = str(agent), str(config_path)
    conf.set_default(conf.PyngrokConfig(start_new_session=os.name == "posix"))
    return "the offline agent, because there is no NGROK_AUTHTOKEN: ngrok.connect() stays on this machine"


def restore() -> None:
    """Close all tunnels. Safe to call again.

    After the real agent, pyngrok gets its own configuration back. After the offline one it keeps that: a cell that
    is run again when the lab is closed must not download ngrok, nor open a real tunnel with the authtoken that a
    person keeps in a configuration file of their own.
    """
    global _before
    ngrok.kill()
    if _before is not None:
        conf.set_default(_before)
        _before = None


def connect(port: int) -> str:
    """The address of a new tunnel to a port. Raises TunnelError."""
    try:
        return ngrok.connect(port).public_url
    except PyngrokError as error:
        raise TunnelError(explain(error)) from error


def explain(error: PyngrokError) -> str:
    """What an error of `ngrok.connect` means and what to do, in a sentence or two. The authtoken is not in it."""
    said = "\n".join(
        [
            str(error),
            str(getattr(error, "ngrok_error", "")),
            error.body if isinstance(error, PyngrokNgrokHTTPError) else "",
            *(log.line for log in getattr(error, "ngrok_logs", [])),
        ]
    )
    if isinstance(error, PyngrokNgrokInstallError):
        return f"pyngrok could not download the ngrok agent. Is there a network, and does it allow ngrok? {GO_OFFLINE}"
    if any(code in said for code in REFUSED_TOKEN):
        return (
            "ngrok refused the NGROK_AUTHTOKEN in .env. Copy it again, whole, from "
            f"https://dashboard.ngrok.com/get-started/your-authtoken. {GO_OFFLINE}"
        )
    if TOO_MANY_AGENTS in said:
        return (
            "Your ngrok account allows no further agent: others are running, perhaps in another notebook or on another "
            f"computer. Close them (https://dashboard.ngrok.com/agents shows them) and try again. {GO_OFFLINE}"
        )
    if any(words in said for words in NO_NETWORK):
        return f"The ngrok agent could not reach ngrok. Is there a network, and does it allow ngrok? {GO_OFFLINE}"
    words = _details(error) or str(error).strip().partition("\n")[0] or type(error).__name__
    token = conf.get_default().auth_token
    return f"ngrok says: {words.replace(token, '<authtoken>') if token else words}"


def _details(error: PyngrokError) -> str:
    """The reason that the agent API gave: {"msg": ..., "details": {"err": ...}}."""
    try:
        return json.loads(error.body)["details"]["err"].strip().partition("\n")[0]
    except (AttributeError, ValueError, TypeError, KeyError):
        return ""


def offline_agent() -> Path:
    """The executable that pip made from [project.scripts]. Raises TunnelError where it is missing."""
    name = EXECUTABLE + (".exe" if os.name == "nt" else "")
    beside = Path(sysconfig.get_path("scripts")) / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if not found:
        raise TunnelError(
            f"The program {name} is missing from {beside.parent}. Install the workshop into this environment: "
            "python -m pip install -r requirements.txt"
        )
    return Path(found)
