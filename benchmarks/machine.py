"""The machine's name, without which a figure says nothing."""

import os
import platform
import re
from importlib.metadata import version
from pathlib import Path


def machine() -> dict[str, str]:
    import psutil

    return {
        "processor": f"{psutil.cpu_count() or os.cpu_count()} x {_processor()}",
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "packages": ", ".join(f"{name} {version(name)}" for name in ("aiohttp", "boto3", "Django", "waitress", "moto")),
    }


def _processor() -> str:
    try:  # platform.processor() is empty on many a Linux
        return re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))[1]
    except (OSError, TypeError):
        return platform.processor() or platform.machine()
