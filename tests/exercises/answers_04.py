"""Chapter 4: right answers, and wrong ones by the key of the message that they must get (see test_answers.py)."""

q1 = {
    "right": [
        """
def status_through_tunnel(port, path):
    tunnel = ngrok.connect(f"http://127.0.0.1:{port}")
    try:
        return httpx.get(f"{tunnel.public_url}{path}", timeout=10).status_code
    finally:
        ngrok.disconnect(tunnel.public_url)
""",
        """
def status_through_tunnel(port, path):
    before = {tunnel.public_url for tunnel in ngrok.get_tunnels()}
    status = httpx.get(ngrok.connect(port).public_url + path).status_code
    for tunnel in ngrok.get_tunnels():
        if tunnel.public_url not in before:
            ngrok.disconnect(tunnel.public_url)
    return status
""",
    ],
    "wrong": {
        "still open": [
            "as given",
            ("disconnect(tunnel.public_url)", "disconnect(tunnel)"),
            (
                "    ngrok.disconnect(tunnel.public_url)\n    return answer.status_code",
                "    return answer.status_code\n    ngrok.disconnect(tunnel.public_url)",
            ),
        ],
        "neighbour": [
            ("ngrok.disconnect(tunnel.public_url)", "[ngrok.disconnect(one.public_url) for one in ngrok.get_tunnels()]")
        ],
        "returned": [("answer.status_code", "answer"), ("answer.status_code", "200")],
        "no tunnel": [("tunnel.public_url + path", 'f"http://localhost:{port}{path}"')],
        "not asked": [("answer = httpx.get(tunnel.public_url + path)", "answer = httpx.Response(int(path[1:]))")],
    },
}

q2 = {
    "right": [
        ('["localhost", "127.0.0.1", ".ngrok-free.dev"]', '(".ngrok-free.dev", "127.0.0.1", "localhost")'),
        ('"localhost", "127', '".localhost", "[::1]", "127'),
    ],
    "wrong": {
        "everybody": ["as given", ("127.0.0.1", "*")],
        "not a name": [
            (".ngrok-free.dev", "*.ngrok-free.dev"),
            (".ngrok", "https://.ngrok"),
            ("localhost", "localhost:8000"),
        ],
        "refused": [(".ngrok-free.dev", "abc123.ngrok-free.dev"), ('"127.0.0.1", ', ""), ('"localhost", ', "")],
        "a stranger": [(".ngrok-free.dev", '.ngrok-free.dev", ".dev'), ("localhost", 'localhost", "intranet')],
        "no list": [('["localhost", "127.0.0.1", ".ngrok-free.dev"]', '".ngrok-free.dev"')],
    },
}

q3 = {
    "right": [
        ('["https://*.ngrok-free.dev"]', '("https://*.ngrok-free.dev",)'),
        ('["https', '["https://abc123.ngrok-free.dev", "https'),
        ('dev"]', 'dev/"]'),
    ],
    "wrong": {
        "refused": ["as given", ("*", "abc123"), ('["https://*.ngrok-free.dev"]', "[]")],
        "http": [('["https', '["http://*.ngrok-free.dev", "https')],
        "no origin": [("https://*.", "."), ("*.", ".")],
        "a stranger": [("*.ngrok-free.dev", '*.ngrok-free.dev", "https://*.dev')],
        "no list": [('["https://*.ngrok-free.dev"]', '"https://*.ngrok-free.dev"')],
    },
}

q4 = {
    "right": [
        """
def failed_requests(agent_url):
    exchanges = httpx.get(agent_url + "/api/requests/http", params={"limit": 50}).json()["requests"]
    pairs = [(exchange["request"], exchange["response"] or {}) for exchange in exchanges[::-1]]
    return [
        (request["method"], request["uri"], answer["status_code"])
        for request, answer in pairs
        if answer.get("status_code", 0) // 100 > 3
    ]
""",
        """
def failed_requests(agent_url):
    failed = []
    for exchange in httpx.get(agent_url + "/api/requests/http").json()["requests"]:
        try:
            status = exchange["response"]["status_code"]
        except TypeError:
            continue
        if not status < 400:
            failed.insert(0, [*map(exchange["request"].get, ("method", "uri")), status])
    return failed
""",
    ],
    "wrong": {
        "raised": ["as given", ('        if exchange["response"] is None:\n            continue\n', "")],
        "not asked": [
            ("httpx.get(agent_url +", "httpx.get(ngrok.get_ngrok_process().api_url +"),
            ("/api/requests/http", "/inspect/http"),
        ],
        "newest first": [
            (
                'reversed(httpx.get(agent_url + "/api/requests/http").json()["requests"])',
                'httpx.get(agent_url + "/api/requests/http").json()["requests"]',
            )
        ],
        "returned": [
            (">= 400", "> 400"),
            (">= 400", ">= 500"),
            ("            continue", '            exchange["response"] = {"status_code": 504}'),
            ('exchange["request"]["uri"], status', 'exchange["request"]["uri"], str(status)'),
        ],
        "no list": [("return failed", "return len(failed)")],
    },
}

q5 = {
    "right": [
        """
class tunnel_to:
    def __init__(self, port):
        self.port = port

    def __enter__(self):
        self.url = ngrok.connect(self.port).public_url
        return self.url

    def __exit__(self, *error):
        ngrok.disconnect(self.url)
""",
        """
@contextmanager
def tunnel_to(port):
    url = ngrok.connect(port).public_url
    try:
        yield url
    except BaseException:
        ngrok.disconnect(url)
        raise
    ngrok.disconnect(url)
""",
    ],
    "wrong": {
        "left open": [
            "as given",
            ("finally:", "except ValueError:\n        ngrok.disconnect(tunnel.public_url)\n        raise\n    else:"),
        ],
        "swallowed": [("finally:", "except BaseException:\n        pass\n    finally:")],
        "still open": [("finally:", "except BaseException:"), ("disconnect(tunnel.public_url)", "disconnect(tunnel)")],
        "neighbour": [
            ("ngrok.disconnect(tunnel.public_url)", "[ngrok.disconnect(one.public_url) for one in ngrok.get_tunnels()]")
        ],
        "no tunnel": [
            ("yield tunnel.public_url", "yield tunnel"),
            ("@contextmanager\n", ""),
            ("yield tunnel.public_url", "yield"),
        ],
    },
}
