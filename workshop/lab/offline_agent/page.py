"""The page at /inspect/http: the requests, newest first. Plain HTML that needs nothing else."""

import html
from collections.abc import Iterable

from .. import browser
from .forwarding import Exchange


def page(exchanges: Iterable[Exchange], public_urls: list[str], prefix: str = "") -> str:
    """The page. `prefix`: the path below which a hub's proxy serves it."""
    links = ", ".join(f'<a href="{browser.address(url)}">{url}</a>' for url in public_urls)
    rows = "".join(
        f"<tr><td>{e.start:%H:%M:%S}</td><td>{html.escape(e.method)}</td>"
        f'<td><a href="{html.escape(prefix)}/api/requests/http/{e.id}">{html.escape(e.uri)}</a></td>'
        f"<td>{f'{e.status} {html.escape(e.reason)}' if e.status else 'no answer yet'}</td>"
        f'<td class="number">{f"{e.duration / 1e6:.1f} ms" if e.duration else ""}</td></tr>'
        for e in exchanges
    )
    return PAGE.format(
        prefix=html.escape(prefix),
        tunnels=f"Open tunnels: {links}" if links else "No tunnel is open.",
        requests=f"<table>{TABLE_HEAD}{rows}</table>" if rows else "<p>No request has come through a tunnel yet.</p>",
    )


TABLE_HEAD = """<caption>Requests, newest first</caption>
<tr><th scope="col">Time</th><th scope="col">Method</th><th scope="col">Path</th>
<th scope="col">Answer</th><th scope="col" class="number">Duration</th></tr>"""

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Requests through the tunnel</title>
<style>
:root {{ color-scheme: light dark; font-family: system-ui, sans-serif; line-height: 1.5 }}
body {{ margin: 2rem auto; max-width: 60rem; padding: 0 1rem }}
table {{ border-collapse: collapse; width: 100% }}
caption {{ text-align: left; font-weight: bold }}
th, td {{ text-align: left; padding: .3rem .6rem; border-bottom: 1px solid #888; overflow-wrap: anywhere }}
.number {{ text-align: right; white-space: nowrap }}
</style></head><body>
<h1>Requests through the tunnel</h1>
<p>{tunnels}</p>
{requests}
<p><a href="{prefix}/inspect/http">Reload</a></p>
</body></html>
"""
