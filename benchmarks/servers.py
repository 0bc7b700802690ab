"""The servers that stand at the other end: a web server and a queue that answer at once, so the client is measured."""

import datetime
import ipaddress
import os
import socket
from contextlib import contextmanager
from pathlib import Path

from workshop.folders import WORK_FOLDER
from workshop.lab.processes import Child, free_port
from workshop.run_folders import run_folder

CERTIFICATE = WORK_FOLDER / "cache" / "benchmarks-certificate.pem"


@contextmanager
def sink(tls: bool = False):
    """A web server that answers 200 to every request. Yields its address."""
    with serving("benchmarks.sink", *([certificate()] if tls else [])) as port:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{port}"


@contextmanager
def queue_in_a_lab(**settings):
    """A queue that answers at once, and Django set up to send to it. Yields the queue's URL."""
    with serving("benchmarks.queue_stub") as port:
        os.environ["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{port}"
        from workshop import Lab

        with Lab(quiet=True, **settings) as lab:
            yield lab.queue_url


@contextmanager
def serving(module: str, *arguments: object):
    """Runs `python -m module port ...` until it is not needed any more. Yields the port on which it listens."""
    port = free_port()
    server = Child(module.rpartition(".")[2], module, [port, *arguments], folder=run_folder())
    server.start(ready=lambda: listens(port))
    try:
        yield port
    finally:
        server.stop()


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def certificate() -> Path:
    """A certificate for 127.0.0.1, with its key, made once."""
    if CERTIFICATE.exists():
        return CERTIFICATE
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=3650))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    CERTIFICATE.parent.mkdir(parents=True, exist_ok=True)
    CERTIFICATE.write_bytes(
        signed.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return CERTIFICATE
