"""The receiving Django, asked over 1, 20 and 100 connections by a client that does nothing else."""

import asyncio
import itertools
import json
import os
import secrets
from contextlib import contextmanager
from types import SimpleNamespace

from django.core.management import call_command

UNIT = "requests/s"
CASES = {"1 connection": 5, "20 connections": 8, "100 connections": 8}
CONTENDERS = ["kit", "bare", "runserver"]
REQUESTS = 200  # in a turn
keys = itertools.count()


@contextmanager
def opened(case, tiny):
    from workshop.folders import sqlite_url
    from workshop.run_folders import run_folder

    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "benchmarks.receiver.settings",
        "SECRET_KEY": secrets.token_urlsafe(50),
        "APP_KEY": "k" * 43,
        "ALLOWED_HOSTS": "127.0.0.1",
        "DATABASE_URL": sqlite_url(run_folder() / "db.sqlite3"),
    }
    import django

    django.setup()
    call_command("migrate", verbosity=0, interactive=False)
    servers = []
    try:
        connections = int(case.split()[0])
        yield SimpleNamespace(connections=connections, servers=servers, requests=20 if tiny else REQUESTS)
    finally:
        for server in servers:
            server.stop()


def once(contender, setting):
    server = contender.served()
    setting.servers.append(server)
    loop = asyncio.new_event_loop()
    clients = [Client(server.port, contender.PATH) for _ in range(setting.connections)]

    def ask():
        return loop.run_until_complete(in_parallel(clients, max(setting.requests, setting.connections)))

    return ask


async def in_parallel(clients, requests):
    todo = iter(range(requests))

    async def work(client):
        return sum([await client.ask() for _ in todo])

    return sum(await asyncio.gather(*map(work, clients)))


class Client:
    """One connection, kept open, that posts a message with a key of its own."""

    def __init__(self, port, path):
        self.port, self.path, self.streams = port, path, None

    async def ask(self):
        if self.streams is None:
            self.streams = await asyncio.open_connection("127.0.0.1", self.port)
        reader, writer = self.streams
        body = json.dumps({"image_id": 1}).encode()
        head = (
            f"POST {self.path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nAuthorization: Token {'k' * 43}\r\n"
            f"Idempotency-Key: key-{os.getpid()}-{next(keys)}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        answer = (await reader.readuntil(b"\r\n\r\n")).lower()
        assert b" 200 " in answer[:16], answer
        length = int(answer.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
        await reader.readexactly(length)
        if b"connection: close" in answer:  # runserver does, sometimes
            writer.close()
            self.streams = None
        return 1
