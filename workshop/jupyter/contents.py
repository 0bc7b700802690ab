"""JupyterLab's contents manager of the workshop: the answer is not on the page before the question.

A chapter or an exercise that its learner has not touched is handed out without outputs and execution counts; its
file keeps them, for nbval, GitHub and the slides. Exports and downloads, which ask without `type=notebook`, get all.
"""

import asyncio
import sys
from pathlib import Path

from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager

from . import shipped

# As JupyterLab writes them when the kernel has started: handed out so, the notebook is not "unsaved" for having
# been opened. From ipykernel's kernel_info and its kernel spec.
METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {
        "codemirror_mode": {"name": "ipython", "version": sys.version_info.major},
        "file_extension": ".py",
        "mimetype": "text/x-python",
        "name": "python",
        "nbconvert_exporter": "python",
        "pygments_lexer": "ipython3",
        "version": sys.version.split()[0],
    },
}


class ChapterContents(AsyncLargeFileManager):
    """Hands out untouched chapters without outputs, and writes nothing for having opened one."""

    async def get(self, path, content=True, type=None, format=None, require_hash=False):
        model = await super().get(path, content, type, format, require_hash)
        file = self._file(path)
        if content and type == "notebook" and shipped.is_shipped(file) and await _is_untouched(file):
            model["content"].metadata.update(METADATA)
            for cell in model["content"].cells:
                if cell.cell_type == "code":
                    cell.outputs, cell.execution_count = [], None
        return model

    async def save(self, model, path=""):
        file = self._file(path)
        if model.get("type") == "notebook" and file.exists() and shipped.is_shipped(file) and await _is_untouched(file):
            as_shipped = await super().get(path, type="notebook")
            if _said(model["content"]) == _said(as_shipped["content"], outputs=False):
                return await self.get(path, content=False)
            shipped.keep(file)
        return await super().save(model, path)

    def _file(self, path: str) -> Path:
        return Path(self._get_os_path(path.strip("/"))).resolve()


async def _is_untouched(file: Path) -> bool:
    return await asyncio.to_thread(shipped.is_untouched, file)


def _said(notebook, outputs: bool = True) -> list:
    """What of a notebook a person has written or run: its cells and, unless told otherwise, what they put out."""
    return [
        (
            cell["cell_type"],
            "".join(cell["source"]),
            cell.get("attachments") or {},
            (cell.get("outputs") or []) if outputs else [],
            cell.get("execution_count") if outputs else None,
        )
        for cell in notebook["cells"]
    ]
