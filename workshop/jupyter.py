"""Jupyter kept to itself: a person's own Jupyter settings do not reach the workshop, and are not changed by it.

subprocess.run([...], env=os.environ | jupyter.environment())
jupyter.write_defaults()     # how JupyterLab looks before a person changes anything
"""

import json

from .installation import WORK_FOLDER

FOLDER = WORK_FOLDER / "jupyter"
RUNTIME_FOLDER = FOLDER / "runtime"
DEFAULTS_FOLDER = FOLDER / "defaults"

# JupyterLab's own setting names. A person may change each in its settings editor.
DEFAULTS = {
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False},
    "@jupyterlab/apputils-extension:themes": {"adaptive-theme": True},  # light or dark as the system is
    "@jupyterlab/extensionmanager-extension:plugin": {"enabled": False},  # it would ask PyPI for a list
    "@jupyterlab/filebrowser-extension:browser": {"showLastModifiedColumn": False},
    "@jupyterlab/notebook-extension:tracker": {"windowingMode": "defer"},  # printing and searching see all
}


def environment() -> dict[str, str]:
    """Variables for processes that run Jupyter or kernels. Empty ones count as not set there."""
    return {
        "JUPYTER_CONFIG_DIR": str(FOLDER / "config"),
        "JUPYTER_CONFIG_PATH": "",
        "JUPYTER_DATA_DIR": str(FOLDER / "data"),
        "JUPYTER_PATH": "",
        "JUPYTER_RUNTIME_DIR": str(RUNTIME_FOLDER),
        "JUPYTERLAB_SETTINGS_DIR": str(FOLDER / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(FOLDER / "workspaces"),
        "IPYTHONDIR": str(FOLDER / "ipython"),
        "JUPYTER_PREFER_ENV_PATH": "1",  # the kernel python3 is this environment's, whatever else is installed
    }


def write_defaults() -> None:
    DEFAULTS_FOLDER.mkdir(parents=True, exist_ok=True)
    (DEFAULTS_FOLDER / "overrides.json").write_text(json.dumps(DEFAULTS, indent=1), encoding="utf-8")
