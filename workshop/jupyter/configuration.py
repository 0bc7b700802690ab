"""Jupyter kept to itself: a person's own Jupyter settings do not reach the workshop, and are not changed by it.

subprocess.run([...], env=os.environ | jupyter.environment())
jupyter.write_defaults()     # how JupyterLab looks before a person changes anything
jupyter.trust_notebooks()    # so that the saved pictures of the workshop's own notebooks are shown
"""

import json

from workshop.folders import HOME, WORK_FOLDER

FOLDER = WORK_FOLDER / "jupyter"
DATA_FOLDER = FOLDER / "data"
RUNTIME_FOLDER = FOLDER / "runtime"
DEFAULTS_FOLDER = FOLDER / "defaults"

# JupyterLab's own setting names. A person may change each in its settings editor.
DEFAULTS = {
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False},
    "@jupyterlab/apputils-extension:themes": {"adaptive-theme": True},  # light or dark as the system is
    "@jupyterlab/docmanager-extension:plugin": {"defaultViewers": {"markdown": "Markdown Preview"}},  # the glossary
    "@jupyterlab/extensionmanager-extension:plugin": {"enabled": False},  # it would ask PyPI for a list
    "@jupyterlab/filebrowser-extension:browser": {"showLastModifiedColumn": False},
    "@jupyterlab/notebook-extension:tracker": {"windowingMode": "defer"},  # printing and searching see all
}


def environment() -> dict[str, str]:
    """Variables for processes that run Jupyter or kernels. Empty ones count as not set there."""
    return {
        "JUPYTER_CONFIG_DIR": str(FOLDER / "config"),
        "JUPYTER_CONFIG_PATH": "",
        "JUPYTER_DATA_DIR": str(DATA_FOLDER),
        "JUPYTER_PATH": "",
        "JUPYTER_RUNTIME_DIR": str(RUNTIME_FOLDER),
        "JUPYTERLAB_SETTINGS_DIR": str(FOLDER / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(FOLDER / "workspaces"),
        "IPYTHONDIR": str(FOLDER / "ipython"),
        "JUPYTER_PREFER_ENV_PATH": "1",  # the kernel python3 is this environment's, whatever else is installed
    }


def options(author: bool = False) -> list[str]:
    """Arguments for the server, the same for a laptop and a hub. An author sees chapters with their outputs."""
    return [
        f"--ServerApp.root_dir={HOME}",
        f"--LabApp.app_settings_dir={DEFAULTS_FOLDER}",
        "--LabApp.extension_manager=readonly",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        *([] if author else ["--ServerApp.contents_manager_class=workshop.jupyter.contents.ChapterContents"]),
        "--SlidesExporter.template_name=workshop_slides",  # as jupyter nbconvert has it
        "--KernelSpecManager.allowed_kernelspecs=python3",
        "--LanguageServerManager.autodetect=False",  # looking for them calls npm, which writes into the home folder
    ]


def write_defaults() -> None:
    DEFAULTS_FOLDER.mkdir(parents=True, exist_ok=True)
    (DEFAULTS_FOLDER / "overrides.json").write_text(json.dumps(DEFAULTS, indent=1), encoding="utf-8")


def trust_notebooks() -> None:
    """Sign the workshop's notebooks, as `jupyter trust` does: of others, JupyterLab shows no saved SVG picture."""
    import nbformat
    from nbformat.sign import NotebookNotary

    DATA_FOLDER.mkdir(parents=True, exist_ok=True)
    notary = NotebookNotary(data_dir=str(DATA_FOLDER))
    for path in [path for name in ("notebooks", "exercises", "solutions") for path in HOME.glob(f"{name}/*.ipynb")]:
        try:
            notary.sign(nbformat.read(path, as_version=4))
        except (OSError, ValueError):  # a notebook that cannot be read is JupyterLab's to complain about
            continue
    notary.store.close()
