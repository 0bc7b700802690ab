"""Where the reader's browser finds a page of this machine: on a laptop, on a hub, in a Codespace."""

import os
import re
from urllib.parse import urlsplit

import httpx
import pytest
from pyngrok import ngrok

from workshop import display
from workshop.lab import Lab, browser, tunnel

PAGE = "http://127.0.0.1:8000/live/?now=1"


def test_on_a_laptop_an_address_is_what_it_is():
    assert browser.address(PAGE) == PAGE
    assert browser.django_environment(8000) == {}


@pytest.mark.parametrize(
    ("variables", "address"),
    [
        ({"JUPYTERHUB_SERVICE_PREFIX": "/user/ana/"}, "/user/ana/proxy/8000/live/?now=1"),
        ({"CODESPACE_NAME": "calm-otter"}, "https://calm-otter-8000.app.github.dev/live/?now=1"),
    ],
)
def test_elsewhere_it_is_the_one_that_the_browser_reaches(monkeypatch, variables, address):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(browser.importlib.util, "find_spec", lambda name: name)
    assert browser.address(PAGE) == address
    assert f'href="{address}"' in display.link(PAGE)._repr_html_()
    assert f'src="{address}"' in display.frame(PAGE)._repr_html_()


def test_a_hub_without_the_proxy_is_said_in_place_of_a_broken_page(monkeypatch):
    monkeypatch.setenv("JUPYTERHUB_SERVICE_PREFIX", "/user/ana/")
    monkeypatch.setattr(browser.importlib.util, "find_spec", lambda name: None)
    for shown in (display.link(PAGE), display.frame(PAGE)):
        assert "jupyter-server-proxy" in repr(shown)
        assert "<iframe" not in shown._repr_html_()


def test_below_a_hubs_proxy_django_makes_links_that_lead_back_through_it(monkeypatch):
    """The proxy takes its prefix off each path, and sends the hub's own name as Host: jupyter-server-proxy 4.6."""
    monkeypatch.setenv("JUPYTERHUB_SERVICE_PREFIX", "/user/ana/")
    hub = {"Host": "hub.example.org", "X-Forwarded-Proto": "https", "Origin": "https://hub.example.org"}
    with Lab(say=lambda line: None) as lab, httpx.Client(base_url=lab.django_url, headers=hub) as proxy:
        prefix = browser.prefix(lab.django_port)
        page = proxy.get("/live/").text
        [script] = re.findall(r'<script src="([^"]+)"', page)
        assert script.startswith(prefix + "/")
        assert proxy.get(script.removeprefix(prefix)).status_code == 200
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', proxy.get("/").text)[1]
        answer = proxy.post(
            "/",
            data={"csrfmiddlewaretoken": token, "title": ""},
            headers={"Referer": f"https://hub.example.org{prefix}/"},
        )
        assert answer.status_code == 400, "the form was not taken for this site's own"
    assert "FORCE_SCRIPT_NAME" not in os.environ


def test_on_a_hub_the_agents_page_is_answered_under_the_hubs_name_and_its_links_lead_back(monkeypatch, tmp_path):
    monkeypatch.setenv("JUPYTERHUB_SERVICE_PREFIX", "/user/ana/")
    tunnel.configure(tmp_path, None)
    try:
        agent = ngrok.get_ngrok_process().api_url
        prefix = browser.prefix(urlsplit(agent).port)
        proxied = {"Host": "hub.example.org", "X-Forwarded-Prefix": prefix}
        page = httpx.get(f"{agent}/inspect/http", headers=proxied)
    finally:
        tunnel.restore()
    assert page.status_code == 200
    assert f'href="{prefix}/inspect/http"' in page.text
