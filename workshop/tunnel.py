"""Decides what `ngrok.connect(port)` runs: the real ngrok agent, or the kit's offline agent.

tunnel.configure(folder, authtoken=None)     # -> which one, in words
ngrok.connect(8000)                          # pyngrok, as always
tunnel.restore()
"""

import os
import shutil
import sysconfig
from pathlib import Path

from pyngrok import conf, ngrok

EXECUTABLE = "workshop-offline-ngrok"


class TunnelError(RuntimeError):
    """No agent can be used. The message says why and what to do."""


_configured = False
_before: conf.PyngrokConfig | None = None


def configure(folder: Path, authtoken: str | None) -> str:
    """Point pyngrok at the agent to use, with a configuration file in `folder`. Returns which one, in words.

    With an authtoken pyngrok downloads and runs the real agent. Without one nothing is downloaded, and the
    person's own ngrok configuration is neither read nor changed.
    """
    global _before, _configured
    restore()
    _before, _configured = conf.get_default(), True
    if authtoken:
        conf.set_default(conf.PyngrokConfig(auth_token=authtoken))
        return "ngrok, REAL: ngrok.connect() makes this machine reachable from the internet"
    config_path = folder / "ngrok.yml"
    config_path.write_text("version: 3\n", encoding="utf-8")
    os.environ["WORKSHOP_PARENT_PID"] = str(os.getpid())  # the agent ends when this process does
    conf.set_default(
        conf.PyngrokConfig(ngrok_path=str(_offline_agent()), config_path=str(config_path), start_new_session=True)
    )
    return "the offline agent, because there is no NGROK_AUTHTOKEN: ngrok.connect() stays on this machine"


def restore() -> None:
    """Close all tunnels and give pyngrok its own configuration back. Safe to call again."""
    global _configured
    if _configured:
        ngrok.kill()
        conf.set_default(_before)
        os.environ.pop("WORKSHOP_PARENT_PID", None)
        _configured = False


def _offline_agent() -> Path:
    """The executable that pip made from [project.scripts]."""
    name = EXECUTABLE + (".exe" if os.name == "nt" else "")
    beside = Path(sysconfig.get_path("scripts")) / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if not found:
        raise TunnelError(
            f"The program {name} is missing from {beside.parent}. Install the workshop into this environment: "
            "python -m pip install -r requirements.txt"
        )
    return Path(found)
