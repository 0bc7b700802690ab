"""A web server that answers every request at once, whatever it says: `python -m benchmarks.sink PORT [CERTIFICATE]`."""

import asyncio
import ssl
import sys

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


class Http(asyncio.Protocol):
    """Cuts what comes into requests, and answers each with what `answer(head, body)` gives."""

    def connection_made(self, transport):
        self.transport = transport
        self.received = b""

    def data_received(self, data):
        self.received += data
        while (end := self.received.find(b"\r\n\r\n")) >= 0:
            head = self.received[:end]
            at = head.lower().find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self.received) < end + 4 + length:
                return
            body, self.received = self.received[end + 4 : end + 4 + length], self.received[end + 4 + length :]
            self.transport.write(self.answer(head, body))

    def answer(self, head, body):
        return ANSWER


async def serve(protocol, port, context=None):
    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", port, backlog=512, ssl=context)
    await server.serve_forever()


if __name__ == "__main__":
    context = None
    if len(sys.argv) > 2:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[2])
    asyncio.run(serve(Http, int(sys.argv[1]), context))
