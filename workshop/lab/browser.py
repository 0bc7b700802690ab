"""Where the learner's browser finds a server of this machine: at its own address on a laptop, elsewhere by a proxy.

    address("http://127.0.0.1:8000/live/")   # under JupyterHub: /user/ana/proxy/8000/live/

A JupyterHub (Binder is one) names its prefix in JUPYTERHUB_SERVICE_PREFIX, and jupyter-server-proxy serves ports below
it. A GitHub Codespace forwards each port to a name of its own.
"""

import importlib.util
import os
from urllib.parse import urlsplit

HUB_PREFIX = "JUPYTERHUB_SERVICE_PREFIX"
# https://docs.github.com/en/codespaces/developing-in-a-codespace/default-environment-variables-for-your-codespace
CODESPACE, CODESPACE_DOMAIN = "CODESPACE_NAME", "GITHUB_CODESPACES_PORT_FORWARDING_DOMAIN"

NO_PROXY = (
    "{url} is an address of the machine where this notebook runs, and your browser is on another one. Whoever runs the "
    "hub can open the way: pip install jupyter-server-proxy, in the environment of the notebooks (hosting/jupyterhub)."
)


def on_a_hub() -> bool:
    return bool(os.environ.get(HUB_PREFIX))


def unreachable(url: str) -> str:
    """Why the learner's browser cannot open `url`, or nothing if it can."""
    return NO_PROXY.format(url=url) if on_a_hub() and not importlib.util.find_spec("jupyter_server_proxy") else ""


def address(url: str) -> str:
    """The address under which the learner's browser finds the page at `url`, an address of this machine."""
    parts = urlsplit(url)
    if on_a_hub():
        return f"{prefix(parts.port)}{parts.path or '/'}" + (f"?{parts.query}" if parts.query else "")
    if codespace := os.environ.get(CODESPACE):
        domain = os.environ.get(CODESPACE_DOMAIN, "app.github.dev")
        return parts._replace(scheme="https", netloc=f"{codespace}-{parts.port}.{domain}").geturl()
    return url


def prefix(port: int) -> str:
    """What stands before each path of the server at `port`, as the browser sees it; nothing on a laptop."""
    return f"{os.environ[HUB_PREFIX].rstrip('/')}/proxy/{port}" if on_a_hub() else ""


def origin(port: int) -> str:
    """The origin from which a Codespace's pages at `port` send their forms; nothing elsewhere."""
    return address(f"http://127.0.0.1:{port}") if os.environ.get(CODESPACE) and not on_a_hub() else ""


def django_environment(port: int) -> dict[str, str]:
    """The settings with which the Django at `port` makes links, and takes forms, that work through a hub's proxy."""
    if not on_a_hub():
        return {}
    return {
        "ALLOWED_HOSTS": "*",  # the hub's own name, which nobody tells a notebook
        "FORCE_SCRIPT_NAME": prefix(port),
        "SECURE_PROXY_SSL_HEADER": "X-Forwarded-Proto",  # so that a form from https:// is known as the site's own
    }
