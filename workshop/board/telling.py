"""What a learner's machine tells the board, and what waits here until it could be told. Standard library only.

telling = Telling()
telling.join("192.168.1.20:8123", "K7QM-2XPD", "Ana")
telling.tell("right", "01_create_the_queue", "q1")    # returns at once, whatever becomes of the board
telling.send()                                        # all that waits, now

A message is a file from the moment that it is told until the board has said that it has it: a killed kernel loses
nothing. Two kernels may send the same file. That does no harm, for the board knows a message by its id.
"""

import http.client
import json
import os
import secrets
import shutil
import threading
import uuid
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from workshop.folders import WORK_FOLDER
from workshop.foreseen import Foreseen
from workshop.names import PROGRAM

TIMEOUT = 5  # seconds that the board may take to answer
PAUSES = (2, 5, 15, 30, 60)  # seconds between two tries, while it does not
MOST_WAITING = 1000  # messages; whoever forgot to leave does not fill the disk
REFUSED = (400, 413, 422)  # the board has read the message, and would refuse it again


class BoardError(Foreseen):
    pass


class Telling:
    """`folder` holds the membership, with the key that only this learner has, and the messages that wait."""

    def __init__(self, folder: Path | None = None):
        self._given = folder
        self._unwritten: list[tuple[str, dict]] = []  # what a full disk could not take
        self._new = threading.Event()
        self._sender: threading.Thread | None = None

    @property
    def _folder(self) -> Path:  # looked up each time, for this module may be imported before the variable is set
        return self._given or Path(os.environ.get("WORKSHOP_BOARD_FOLDER") or WORK_FOLDER / "board")

    @property
    def _file(self) -> Path:
        return self._folder / "membership.json"

    @property
    def _waiting(self) -> Path:
        return self._folder / "waiting"

    def membership(self) -> dict | None:
        try:
            return json.loads(self._file.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return None

    def join(self, address: str, code: str, name: str) -> None:
        """Raises BoardError. Who joins the same board again, from the same machine, stays the same learner."""
        address, code = _host_and_port(address), "".join(c for c in code.upper() if c.isascii() and c.isalnum())
        before = self.membership()
        same = before is not None and before["code"] == code
        key = before["key"] if same else secrets.token_urlsafe(32)
        try:
            status, answer = _post(address, "/join", code, str(uuid.uuid4()), {"name": name, "key": key})
        except (OSError, http.client.HTTPException, ValueError):
            raise BoardError(
                f"No board answers at {address}. Is it as your instructor shows it, and are you on the same network?"
            ) from None
        if status == 401:
            raise BoardError("The board has another code. Compare it with your instructor's; hyphens do not matter.")
        if status == 429:
            raise BoardError("Too many wrong codes came from this machine. Wait a minute, and look at the code again.")
        if status != 200:
            raise BoardError(f"The board refused: {_first_words(answer)}")
        if not same:
            shutil.rmtree(self._waiting, ignore_errors=True)  # another board's
        _write(self._file, {"address": address, "code": code, "key": key, "name": name})

    def leave(self) -> None:
        """Forget the key, and what waits."""
        self._file.unlink(missing_ok=True)
        shutil.rmtree(self._waiting, ignore_errors=True)

    def tell(self, what: str, chapter: str, question: str) -> None:
        """What became of a check. Never raises, never waits for the board; does nothing for who has not joined."""
        if what in ("right", "wrong") and self._file.exists():
            with suppress(Exception):  # whatever goes wrong here, the check must not
                self.keep(what, chapter=chapter, question=question)
                if self._sender is None or not self._sender.is_alive():
                    self._sender = threading.Thread(target=self._send_on, name="tells-the-board", daemon=True)
                    self._sender.start()
                self._new.set()

    def keep(self, what: str, **where: str) -> None:
        """Let a message wait. They are numbered, for a clock may be set back."""
        message_id, message = str(uuid.uuid4()), {"what": what, **where}
        names = self._names()
        if len(names) >= MOST_WAITING:
            return
        number = int(names[-1].partition("-")[0]) + 1 if names else 1
        try:
            _write(self._waiting / f"{number:06}-{message_id}.json", message)
        except OSError:
            self._unwritten.append((message_id, message))

    def send(self) -> str:
        """Tell all that waits, the oldest first. Returns why the rest must wait, or nothing."""
        member = self.membership()
        if member is None:
            return f"You have joined no board. Type: {PROGRAM} join ADDRESS CODE NAME"
        for name in self._names():
            file = self._waiting / name
            try:
                message = json.loads(file.read_text(encoding="utf-8"))
            except FileNotFoundError:
                continue  # another kernel has told it
            except ValueError:
                message = {}  # half a message, from a machine that lost its power
            if problem := _deliver(member, file.stem.partition("-")[2], message):
                return problem
            with suppress(OSError):  # on Windows another kernel may be reading it; it is told again then
                file.unlink()
        for unwritten in list(self._unwritten):
            if problem := _deliver(member, *unwritten):
                return problem
            with suppress(ValueError):  # another thread has told it
                self._unwritten.remove(unwritten)
        return ""

    def _names(self) -> list[str]:
        """The files that wait, the oldest first. (Of a thousand, pathlib would take 20 ms to say so.)"""
        try:
            with os.scandir(self._waiting) as entries:
                return sorted(entry.name for entry in entries if entry.name.endswith(".json"))
        except FileNotFoundError:
            return []

    def _send_on(self) -> None:
        """As long as the kernel lives: send what is new at once, and what the board does not take again and again."""
        failures = 0
        while True:
            self._new.wait(PAUSES[min(failures, len(PAUSES)) - 1] if failures else None)
            self._new.clear()
            try:
                failures = failures + 1 if self.send() else 0
            except OSError:  # the folder cannot be read
                failures += 1


def _deliver(member: dict, message_id: str, message: dict) -> str:
    """Why the board has not got it, or nothing."""
    try:
        status, answer = _post(member["address"], "/events", member["key"], message_id, message)
    except (OSError, http.client.HTTPException, ValueError):
        return "The board does not answer."
    if status == 401:
        return f"The board does not know you. Join again: {PROGRAM} join {member['address']} CODE NAME"
    if status in REFUSED or (status == 200 and "message" in answer):  # a wifi's login page says 200 to everything
        return ""
    return "The board does not answer as a board does."


def _post(address: str, path: str, token: str, message_id: str, message: dict) -> tuple[int, dict]:
    connection = http.client.HTTPConnection(address, timeout=TIMEOUT)
    headers = {"Authorization": f"Token {token}", "Idempotency-Key": message_id, "Content-Type": "application/json"}
    try:
        connection.request("POST", path, json.dumps(message), headers)
        answer = connection.getresponse()
        said = json.loads(answer.read(65536) or b"{}")
        return answer.status, said if isinstance(said, dict) else {}
    finally:
        connection.close()


def _host_and_port(address: str) -> str:
    try:
        parts = urlsplit(address if "//" in address else f"//{address}")
        if parts.hostname and parts.port:
            return parts.netloc
    except ValueError:
        pass
    raise BoardError(f"{address} is no board's address. One looks like 192.168.1.20:8123.")


def _first_words(answer: dict) -> str:
    words = next(iter(answer.values()), "it said nothing more")
    return str(words[0] if isinstance(words, list) else words)


def _write(file: Path, content: dict) -> None:
    """The file is there as a whole or not at all."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = file.with_suffix(f".{secrets.token_hex(4)}.part")
    try:
        part.write_text(json.dumps(content), encoding="utf-8")
        part.replace(file)
    except OSError:
        part.unlink(missing_ok=True)
        raise


_telling = Telling()
tell = _telling.tell
