"""The framework of the exercises. What each chapter asks is proved by test_answers.py."""

import contextlib
import json
import shutil
import sys
import threading
from types import ModuleType

import pytest

from workshop.commands import main as workshop
from workshop.commands import make_exercises
from workshop.exercises import Exercise, notebook
from workshop.exercises.calling import attempt, call, expect, failures, invoke, record
from workshop.exercises.progress_file import Progress
from workshop.exercises.question import Question, Wrong, question
from workshop.exercises.unchanged import unchanged

CHAPTERS = notebook.chapters()


@pytest.fixture(autouse=True)
def progress(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKSHOP_PROGRESS_FILE", str(tmp_path / "progress" / "progress.json"))
    return Progress()


# The notebooks


def said(path) -> list[str]:
    """What each check in a notebook showed, as text."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    shown = [output["data"] for cell in cells for output in cell.get("outputs", []) if "data" in output]
    return ["".join(data["text/plain"]) for data in shown if "text/plain" in data]


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_exercise_is_what_its_solution_makes_and_says_not_attempted_where_the_solution_says_right(chapter):
    path = notebook.path_of_exercise(chapter)
    assert notebook.is_fresh(chapter), f"{path} is stale: python3 -m workshop make-exercises {chapter[:2]}"
    assert not notebook.is_changed(chapter)
    names = notebook.questions(chapter)
    assert [text.partition(".")[0] for text in said(path)] == [f"○ {name}: not attempted yet" for name in names]
    solved = said(notebook.SOLUTIONS / path.name)
    assert [text.partition(".")[0] for text in solved] == [f"✓ {name}: right" for name in names]
    text = path.read_text(encoding="utf-8")
    assert "SOLUTION" not in text
    assert "starting-point" not in text


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_chapter_has_up_to_six_questions_with_hints_and_a_gain(chapter):
    module = __import__(f"workshop.exercises.chapter_{chapter[:2]}", fromlist=["x"])
    questions = [value for value in vars(module).values() if isinstance(value, Question)]
    assert [question.name for question in questions] == notebook.questions(chapter)
    assert 3 <= len(questions) <= 6
    assert all(len(question.hints) >= 2 and question.why for question in questions)


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """One solution and its exercise, in folders of their own."""
    for name in ("SOLUTIONS", "EXERCISES"):
        folder = tmp_path / name.lower()
        folder.mkdir()
        shutil.copy(getattr(notebook, name) / f"{CHAPTERS[0]}.ipynb", folder)
        monkeypatch.setattr(notebook, name, folder)
    return notebook.path_of_exercise(CHAPTERS[0])


def test_a_learners_answers_are_never_written_over(copied, monkeypatch, capsys):
    made = []
    monkeypatch.setattr(make_exercises, "_make", made.append)
    assert workshop(["make-exercises", "1"]) == 0
    copied.write_text(copied.read_text(encoding="utf-8").replace('\\"30\\"', '\\"180\\"'), encoding="utf-8")
    assert workshop(["make-exercises"]) == 1
    assert f"Not made: exercises/{CHAPTERS[0]}.ipynb" in capsys.readouterr().out
    copied.unlink()
    assert workshop(["make-exercises"]) == 0
    assert made == [CHAPTERS[0]] * 2


def test_exercises_lists_them_with_their_state(progress, capsys):
    progress.record("01_create_the_queue", "q2", "right")
    assert workshop(["exercises"]) == 0
    shown = capsys.readouterr().out
    assert "exercises/01_create_the_queue.ipynb\n    q1 open, q2 right, q3 open" in shown
    assert shown.count(".ipynb") == len(CHAPTERS)


@pytest.mark.parametrize("command", ["exercises", "make-exercises"])
def test_an_exercise_that_is_not_there_is_refused(command, capsys):
    with pytest.raises(SystemExit) as refused:
        workshop([command, "99"])
    assert refused.value.code == 2
    assert "There is no exercise '99'" in capsys.readouterr().err


# Outcomes


class Opened:
    """What a question needs of its exercise."""

    lab, closed, chapter = None, False, CHAPTERS[0]

    def record(self, name, event):
        pass


def ask(look, *answer):
    """Examine an answer to a question made on the spot."""
    made = question(hints=["look", "look there"], why="It holds.")(look)
    look.__name__, made.exercise = "q1", Opened()
    return made.examine(*answer)


def raises(error):
    def look(lab, answer):
        raise error

    return look


@pytest.mark.parametrize(
    ("look", "state", "text", "key"),
    [
        (lambda lab, answer: None, "right", "It holds.", ""),
        (raises(Wrong("small", "it is too small")), "wrong", "it is too small", "small"),
        (raises(ValueError("no number")), "wrong", "the check met ValueError: no number", "unforeseen"),
        (raises(SystemExit(3)), "wrong", "the check met SystemExit: 3", "unforeseen"),
        (raises(KeyboardInterrupt()), "not checked", "The check was interrupted.", ""),
        (
            lambda lab, queue_url, answer: None,
            "not checked",
            "The check needs your answer: q1.check(queue_url, answer)",
            "",
        ),
    ],
)
def test_whatever_happens_in_a_check_ends_in_an_outcome(look, state, text, key):
    outcome = ask(look, "an answer")
    assert (outcome.state, outcome.text, outcome.key) == (state, text, key)


def test_a_queue_that_is_gone_is_told_without_a_traceback(sqs, make_queue):
    url = make_queue()
    sqs.delete_queue(QueueUrl=url)
    outcome = ask(lambda lab, url: sqs.send_message(QueueUrl=url, MessageBody="x"), url)
    assert outcome.state == "not checked"
    assert "The queue is not there any more. Run the notebook again" in outcome.text


def test_an_outcome_says_in_words_what_it_says_in_colour_and_breaks_no_arn():
    arn = "arn:aws:sqs:us-east-1:123456789012:image-processing-sync-dead-letters-of-a-long-name"
    outcome = ask(
        raises(Wrong("arn", f"the policy of <this> queue, which is the source of messages, names {arn}")), "x"
    )
    shown = outcome._repr_mimebundle_()
    assert shown["text/plain"].startswith("✗ q1: not right, because the policy")
    assert arn in shown["text/plain"]
    assert "✗ q1: not right, because" in shown["text/html"]
    assert f'nowrap">{arn}.</span>' in shown["text/html"]
    assert "<this>" not in shown["text/html"]


def test_a_second_hint_is_stronger_and_the_last_one_leads_to_the_solution(capsys):
    made = question(hints=["look", "look there"], why="")(lambda lab, url: None)
    made.look.__name__, made.exercise = "q1", Opened()
    assert repr(made) == "q1: check an answer with q1.check(url). If you are stuck: q1.hint()"
    for _ in range(3):
        made.hint()
    assert capsys.readouterr().out.splitlines() == [
        "→ q1: hint 1 of 2. look For more: q1.hint()",
        "→ q1: hint 2 of 2. look there For more: q1.solution()",
        "→ q1: hint 2 of 2. look there For more: q1.solution()",
    ]


# Not attempted

GIVEN = '''
limit = 5

def handler(event, context):
    """Handle it."""
    return [record["id"] for record in event["Records"]]

class View(object):
    permission_classes = []
'''


def kernel(*cells):
    """What a notebook's namespace holds after these cells."""
    namespace = {"In": ["", *cells]}
    for code in cells:
        with contextlib.suppress(SyntaxError):  # a cell with a %magic
            exec(compile(code, "<cell>", "exec"), namespace)  # noqa: S102
    return namespace


@pytest.mark.parametrize("name", ["limit", "handler", "View"])
def test_what_a_learner_was_given_counts_as_not_attempted(name):
    seen = kernel("limit = 6", "\n\n" + GIVEN.replace("    return [", "    # a comment\n    return ["), "other = 1")
    assert unchanged((seen[name],), GIVEN, seen)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("limit", "5", "6"),
        ("handler", '["id"]', '["messageId"]'),
        ("View", "[]", "[dict]"),
        ("View", "[]", "[]\n    throttled = True"),
    ],
)
def test_any_change_counts_as_an_attempt(name, old, new):
    assert old in GIVEN
    seen = kernel(GIVEN, GIVEN.replace(old, new))
    assert not unchanged((seen[name],), GIVEN, seen)


def test_an_answer_of_another_name_counts_as_an_attempt():
    seen = kernel(GIVEN, "def better(event, context):\n    return []")
    assert not unchanged((seen["better"],), GIVEN, seen)
    assert not unchanged((lambda event, context: None,), GIVEN, seen)


# Learners' code


def loops(*args):
    while True:
        pass


def leaves(*args):
    sys.exit(3)


def breaks(*args):
    return {}["missing"]


async def later(value):
    return value + 1


@pytest.mark.parametrize(
    ("function", "key", "because"),
    [
        (loops, "too slow", "loops did not return within 0.2 seconds"),
        (leaves, "raised", "leaves called sys.exit(), which would end the whole process; return instead"),
        (breaks, "raised", "breaks raised KeyError: 'missing'"),
        (lambda: 1, "arguments", "your function does not take the arguments that the question names: too many"),
        (7, "no function", "a function was expected, and this is an int"),
    ],
)
def test_code_that_breaks_things_gets_a_sentence(function, key, because):
    with pytest.raises(Wrong) as wrong:
        call(function, 1, timeout=0.2)
    assert wrong.value.key == key
    assert because in wrong.value.text


def test_after_an_endless_loop_the_next_question_still_works():
    before = threading.active_count()
    with pytest.raises(Wrong):
        call(loops, timeout=0.1)
    assert call(len, [1, 2]) == 2
    for thread in threading.enumerate():
        if thread.name.endswith("(run)"):
            thread.join(5)
    assert threading.active_count() <= before


def test_a_coroutine_function_is_awaited_and_an_exception_can_be_looked_at():
    assert call(later, 1) == 2
    assert isinstance(attempt(breaks).error, KeyError)


@pytest.mark.parametrize(("found", "expected"), [(4, 3), (1, True), ([1], (1,))])
def test_what_was_not_expected_is_shown_beside_what_was(found, expected):
    with pytest.raises(Wrong) as wrong:
        expect(found, expected, "for 1 and 2 ")
    assert wrong.value.text == f"for 1 and 2 it returned {found!r}, and {expected!r} was expected"
    expect(expected, expected)


def test_a_handler_is_called_with_an_event_and_a_context_and_its_result_goes_through_json():
    def handler(event, context):
        return [event["Records"][0]["body"], context.get_remaining_time_in_millis() > 0, (1,)]

    assert invoke(handler, [record("m", {"a": 1})]) == ['{"a": 1}', True, [1]]
    with pytest.raises(Wrong) as wrong:
        invoke(lambda event, context: {1, 2}, [])
    assert "{1, 2}, which is not JSON" in wrong.value.text


@pytest.mark.parametrize("response", [None, {}, {"batchItemFailures": []}, {"batchItemFailures": None}])
def test_a_report_without_failures_is_read_as_lambda_reads_it(response):
    assert failures(response) == set()


@pytest.mark.parametrize("entry", ["1", {"messageId": "1"}, {"itemIdentifier": ""}, {"itemIdentifier": None}])
def test_a_report_that_lambda_could_not_read_is_shown(entry):
    assert failures({"batchItemFailures": [{"itemIdentifier": "1"}]}) == {"1"}
    for report in ({"batchItemFailures": [entry]}, {"batchItemFailures": entry}, [entry]):
        with pytest.raises(Wrong) as wrong:
            failures(report)
        assert wrong.value.key == "report"


# An exercise as a whole


def test_an_exercise_keeps_the_progress_says_it_at_the_end_and_then_checks_no_more(progress, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "__main__", ModuleType("__main__"))
    exercise = Exercise("01_create_the_queue", quiet=True)
    q1, q2, *_ = exercise.questions
    q1.check(lambda sqs: sqs.create_queue(QueueName="slow-work", Attributes={"VisibilityTimeout": "180"})["QueueUrl"])
    q2.check(lambda sqs, queue_url: None)
    q2.hint()
    exercise.close()
    assert "Your progress: 1 of 4 right; still open: q2, q3, q4." in capsys.readouterr().out
    done = progress.of("01_create_the_queue")
    assert (done["q1"].state, done["q2"].state, done["q2"].hints) == ("right", "wrong", 1)
    q2.check(lambda sqs, queue_url: None)
    assert "○ q2: not checked. The exercise and its lab are closed. Run the notebook again" in capsys.readouterr().out
    assert progress.of("01_create_the_queue")["q2"].checks == 1


def test_a_solution_notebook_keeps_no_progress_and_shows_how_it_is_solved(progress, monkeypatch, capsys):
    monkeypatch.chdir(notebook.SOLUTIONS)
    exercise = Exercise("01_create_the_queue", quiet=True)
    exercise.questions[0].solution()
    exercise.close()
    shown = capsys.readouterr().out
    assert "q1: one way to solve it" in shown
    assert "SOLUTION" not in notebook.solution("01_create_the_queue", "q1")
    assert "Your progress" not in shown
    assert progress.of("01_create_the_queue") == {}


def test_where_the_progress_cannot_be_written_the_checks_still_work(tmp_path, monkeypatch, capsys):
    (tmp_path / "in the way").touch()
    monkeypatch.setenv("WORKSHOP_PROGRESS_FILE", str(tmp_path / "in the way" / "progress.json"))
    exercise = Exercise("01_create_the_queue", quiet=True)
    exercise.questions[0].hint()
    exercise.close()
    assert "Your progress cannot be kept" in capsys.readouterr().out
