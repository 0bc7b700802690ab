"""Every answer that answers_NN.py lists, played as a learner's cell is, in a lab that is opened once a chapter."""

import ast
import importlib
import linecache
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
from django.apps import apps
from django.db.models.signals import post_save

from workshop.exercises import notebook

AS_GIVEN = "as given"
LISTS = {chapter: importlib.import_module(f"answers_{chapter[:2]}") for chapter in notebook.chapters()}


def answers():
    """(chapter, question, state, key, answer) of each answer of each list. The solution itself is right in all."""
    for chapter, module in LISTS.items():
        for name in notebook.questions(chapter):
            listed = getattr(module, name)
            rows = [("not attempted", "", AS_GIVEN), *(("right", "", answer) for answer in [(), *listed["right"]])]
            rows += [("wrong", key, answer) for key, wrong in listed["wrong"].items() for answer in wrong]
            for number, row in enumerate(rows):
                yield pytest.param(chapter, name, *row, id=f"{chapter[:2]}-{name}-{number}-{row[1] or row[0]}")


def code_of(answer, chapter: str, name: str) -> str:
    """A text is a whole cell; (old, new, old, new ...) is the solution with those texts changed."""
    if answer == AS_GIVEN:
        return notebook.starting_point(chapter, name)
    if isinstance(answer, str):
        return answer.strip() + "\n"
    code = notebook.solution(chapter, name)
    for old, new in zip(answer[::2], answer[1::2], strict=True):
        assert old in code, f"{old!r} does not stand in the solution"
        code = code.replace(old, new)
    return code


def run(code: str, module: ModuleType) -> None:
    """Run a cell as the kernel does: it keeps the text, and so a traceback finds the line."""
    module.In.append(code)
    name = f"<ipykernel cell {len(module.In)}>"
    linecache.cache[name] = (len(code), None, code.splitlines(keepends=True), name)
    exec(compile(code, name, "exec"), vars(module))  # noqa: S102


@pytest.fixture(scope="module")
def opened():
    """opened(chapter) -> the namespace of its exercise, where all cells but answers and checks have run."""
    there: dict[str, ModuleType] = {}  # one at a time

    def close():
        for module in there.values():
            module.exercise.lab.close()
        there.clear()
        if apps.ready:  # exercise 7 has taken it away
            from workshop_django.gallery.signals import announce_new_image

            post_save.connect(announce_new_image, sender=apps.get_model("gallery", "Image"))

    def open_one(chapter: str) -> ModuleType:
        if chapter not in there:
            close()
            there[chapter] = ModuleType("__main__")
            there[chapter].In = []
            for cell in notebook.read(chapter)["cells"]:
                code = "".join(cell["source"])
                answer_or_check = cell["metadata"].get("tags") or re.match(r"q\d+\.check|exercise\.close", code)
                if cell["cell_type"] == "code" and not answer_or_check:
                    run(code, there[chapter])
        return there[chapter]

    yield open_one
    close()


@pytest.mark.parametrize(("chapter", "name", "state", "key", "answer"), list(answers()))
def test_a_right_answer_is_right_and_a_wrong_one_is_told_its_mistake(
    opened, chapter, name, state, key, answer, monkeypatch
):
    module = ModuleType("__main__")
    vars(module).update(vars(opened(chapter)), In=[])
    monkeypatch.setitem(sys.modules, "__main__", module)
    run(code_of(answer, chapter, name), module)
    if state != "not attempted":
        module.In.clear()  # an attempt, also where it is what was given
    cells = ["".join(cell["source"]) for cell in notebook.read(chapter)["cells"]]
    [check] = [code for code in cells if code.startswith(f"{name}.check(")]
    outcome = eval(check.replace(".check(", ".examine("), vars(module))  # noqa: S307
    assert (outcome.state, outcome.key) == (state, key), outcome.text


@pytest.mark.parametrize("chapter", LISTS)
def test_each_question_is_proved_by_answers_of_every_kind_and_each_message_by_one(chapter):
    proved = set()
    for name in notebook.questions(chapter):
        listed = getattr(LISTS[chapter], name)
        wrong = [answer for answers in listed["wrong"].values() for answer in answers]
        assert len(listed["right"]) >= 2, f"{name}: with the solution, three right answers that differ in style"
        assert len(wrong) >= 4, f"{name}: about five wrong answers"
        assert AS_GIVEN in wrong, f"{name}: what does nothing is wrong"
        proved |= set(listed["wrong"])
    path = Path(importlib.import_module(f"workshop.exercises.chapter_{chapter[:2]}").__file__)
    calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    keys = [call.args[0] for call in calls if getattr(call.func, "id", "") == "Wrong"]
    said = {key.value for key in keys if isinstance(key, ast.Constant)}
    assert not said - proved, "messages that no listed answer gets"
