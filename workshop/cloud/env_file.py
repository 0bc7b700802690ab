"""Reads `.env`, and keeps a marked block of lines in it, which a command may write and remove.

parse(read(env_file))                                  # -> {"APP_KEY": "..."}
write_block(env_file, owner, {"SQS_QUEUE_URL": url})   # -> {} or what the person had set already
remove_block(env_file, owner)                          # -> True if there was one
"""

import errno
import io
import os
import re
import select
import shutil
import stat
from pathlib import Path

from dotenv import dotenv_values

PIPE_TIMEOUT = 3  # seconds that a named pipe may take to say something
BLOCK = re.compile(
    r"# >>> workshop deploy: (?P<owner>[^\r\n]*?) >>>\r?\n.*?# <<< workshop deploy <<<(?:\r?\n|\Z)", re.DOTALL
)


def write_block(env_file: Path, owner: str, values: dict[str, str]) -> dict[str, str]:
    """Put `values` at the end of `env_file`, in a block that names `owner`, in place of an earlier block.

    A name that the person has given a value is left out of the block, for the later line would win. Returns
    those names with the person's values. The file is made if there is none.
    """
    text = BLOCK.sub("", read(env_file))
    own = parse(text)
    kept = {name: own[name] for name in values if own.get(name) and own[name] != values[name]}
    lines = [f"# >>> workshop deploy: {owner} >>>"]
    lines += [
        f"# {name}={value}   (your own line above is kept)" if name in kept else f"{name}={value}"
        for name, value in values.items()
    ]
    lines += ["# <<< workshop deploy <<<", ""]
    newline = "\r\n" if "\r\n" in text else "\n"
    if text and not text.endswith("\n"):
        text += newline
    _write(env_file, text + newline.join(lines))
    return kept


def block_owner(env_file: Path) -> str | None:
    """Whom the block belongs to, or None where there is no block."""
    match = BLOCK.search(read(env_file))
    return match["owner"] if match else None


def remove_block(env_file: Path, owner: str) -> bool:
    """Remove the block if `owner` wrote it. False if there was none."""
    if block_owner(env_file) != owner:
        return False
    _write(env_file, BLOCK.sub("", read(env_file)))
    return True


def read(env_file: Path) -> str:
    """What is in the file; nothing where there is none. Raises OSError or UnicodeDecodeError."""
    if not env_file.exists():
        return ""
    if stat.S_ISFIFO(env_file.stat().st_mode):
        return _from_pipe(env_file).decode()
    with env_file.open(encoding="utf-8", newline="") as file:  # newline="": a person's line ends stay as they are
        return file.read()


def _from_pipe(env_file: Path) -> bytes:
    """A password manager may offer `.env` as a named pipe. One that nobody writes to is not waited for without end."""
    pipe = os.open(env_file, os.O_RDONLY | os.O_NONBLOCK)
    try:
        found = b""
        while select.select([pipe], [], [], PIPE_TIMEOUT)[0]:
            if not (part := os.read(pipe, 65536)):
                return found
            found += part
        raise TimeoutError(errno.ETIMEDOUT, "it is a named pipe, and nobody writes to it", str(env_file))
    finally:
        os.close(pipe)


def parse(text: str) -> dict[str, str]:
    text = text.removeprefix("\ufeff")  # Windows editors put a byte order mark in front
    return {name: value or "" for name, value in dotenv_values(stream=io.StringIO(text)).items()}


def _write(env_file: Path, text: str) -> None:
    half_written = env_file.with_name(f"{env_file.name}.{os.getpid()}.part")
    with half_written.open("w", encoding="utf-8", newline="") as file:
        if env_file.exists():
            shutil.copymode(env_file, half_written)
        else:
            half_written.chmod(0o600)  # it will hold keys
        file.write(text)
    if text:
        half_written.replace(env_file)
    else:  # nothing but the block was in it
        half_written.unlink()
        env_file.unlink(missing_ok=True)
