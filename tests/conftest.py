"""Fixtures for every test: a local AWS, its queues, and a small HTTP server that records what it got."""

import itertools
import os
import shutil
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
import pytest

from workshop.lab.local_aws import LocalAws


@pytest.fixture(scope="session")
def local_aws_server(tmp_path_factory):
    """One moto server for all tests of a worker."""
    aws = LocalAws(tmp_path_factory.mktemp("aws"))
    aws.start()
    yield aws
    aws.stop()


@pytest.fixture
def local_aws(local_aws_server, monkeypatch):
    """A running LocalAws; the environment leads boto3 and the AWS CLI to it."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", local_aws_server.endpoint_url)
    return local_aws_server


@pytest.fixture
def sqs(local_aws):
    """A boto3 SQS client on the local AWS."""
    return boto3.client("sqs")


_queue_number = itertools.count()


@pytest.fixture
def make_queue(sqs):
    """make_queue(**attributes) -> url of a new queue, deleted afterwards. FifoQueue="true" makes it FIFO."""
    urls = []

    def make(**attributes: str) -> str:
        suffix = ".fifo" if attributes.get("FifoQueue") == "true" else ""
        name = f"test-{os.getpid()}-{next(_queue_number)}{suffix}"
        urls.append(sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"])
        return urls[-1]

    yield make
    for url in urls:
        try:
            sqs.delete_queue(QueueUrl=url)
        except sqs.exceptions.QueueDoesNotExist:
            pass


@pytest.fixture(scope="session")
def aws_cli() -> str:
    """The AWS CLI 2 that works: the first on PATH may be another version, or broken."""
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        if aws := shutil.which("aws", path=folder):
            said = subprocess.run([aws, "--version"], capture_output=True, text=True)
            if said.returncode == 0 and said.stdout.startswith("aws-cli/2"):
                return aws
    pytest.skip("there is no AWS CLI 2 here: apt-get install awscli")


@dataclass
class RecordedRequest:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """A real HTTP server. `answer` is a status, or a function: request -> (status, headers, body)."""

    url: str = ""
    answer: object = 200
    requests: list[RecordedRequest] = field(default_factory=list)
    connections: int = 0


@pytest.fixture
def receiver():
    """A threaded HTTP server on a free port that keeps connections alive and records every request."""
    recorder = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self):
            recorder.connections += 1
            super().setup()

        def handle_any(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            request = RecordedRequest(self.command, self.path, dict(self.headers), body)
            recorder.requests.append(request)
            answer = recorder.answer(request) if callable(recorder.answer) else (recorder.answer, {}, b"{}")
            status, headers, content = answer
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_DELETE = handle_any

        def log_message(self, *args):
            pass

    class Server(ThreadingHTTPServer):
        request_queue_size = 256

        def handle_error(self, request, client_address):
            if not isinstance(sys.exception(), ConnectionError):  # a client that has gone is its own affair
                super().handle_error(request, client_address)

    server = Server(("127.0.0.1", 0), Handler)
    recorder.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield recorder
    server.shutdown()
    server.server_close()
