"""A marked block of lines in `.env` that a command may write and remove. Other lines are never touched.

write_block(env_file, owner, {"SQS_QUEUE_URL": url})   # -> {} or what the person had set already
remove_block(env_file, owner)                          # -> True if there was one
"""

import io
import os
import re
import shutil
from pathlib import Path

from dotenv import dotenv_values

BLOCK = re.compile(
    r"# >>> workshop deploy: (?P<owner>[^\r\n]*?) >>>\r?\n.*?# <<< workshop deploy <<<(?:\r?\n|\Z)", re.DOTALL
)


def write_block(env_file: Path, owner: str, values: dict[str, str]) -> dict[str, str]:
    """Put `values` at the end of `env_file`, in a block that names `owner`, in place of an earlier block.

    A name that the person has given a value is left out of the block, for the later line would win. Returns
    those names with the person's values. The file is made if there is none.
    """
    text = BLOCK.sub("", _read(env_file))
    own = _values(text)
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
    match = BLOCK.search(_read(env_file))
    return match["owner"] if match else None


def remove_block(env_file: Path, owner: str) -> bool:
    """Remove the block if `owner` wrote it. False if there was none."""
    if block_owner(env_file) != owner:
        return False
    _write(env_file, BLOCK.sub("", _read(env_file)))
    return True


def _values(text: str) -> dict[str, str | None]:
    return dotenv_values(stream=io.StringIO(text))


def _read(env_file: Path) -> str:
    if not env_file.exists():
        return ""
    with env_file.open(encoding="utf-8", newline="") as file:  # newline="": a person's line ends stay as they are
        return file.read()


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
