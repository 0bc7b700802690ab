"""The framework of the exercises. What each chapter asks is tested in test_exercise_NN.py."""

import json
import subprocess
import sys
import threading

import pytest

from workshop.exercises import Exercise, notebook
from workshop.exercises.calling import attempt, call, call_handler, failures, record
from workshop.exercises.question import NotAttempted, Question, Wrong, question
from workshop.exercises.unchanged import unchanged
from workshop.folders import CHECKOUT

CHAPTERS = notebook.chapters()


def outputs(path) -> list[str]:
    """What each check in a notebook showed, as text."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    shown = [output["data"] for cell in cells for output in cell.get("outputs", []) if "data" in output]
    return ["".join(data["text/plain"]) for data in shown if "text/plain" in data]


# The notebooks


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_exercise_notebook_is_what_its_solution_makes(chapter):
    assert notebook.is_fresh(chapter), (
        f"exercises/{chapter}.ipynb is stale: python3 -m workshop exercises {chapter[:2]}"
    )


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_as_shipped_every_question_says_not_attempted_yet(chapter):
    said = outputs(notebook.EXERCISES / f"{chapter}.ipynb")
    assert said == [
        f"○ {name}: not attempted yet." + text.partition(".")[2]
        for name, text in zip(notebook.questions(chapter), said, strict=True)
    ]


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_question_of_the_solution_says_right(chapter):
    said = outputs(notebook.SOLUTIONS / f"{chapter}.ipynb")
    names = notebook.questions(chapter)
    assert [text.partition(".")[0] for text in said] == [f"✓ {name}: right" for name in names]


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_chapter_has_three_to_six_questions_with_hints_and_a_reason(chapter):
    module = __import__(f"workshop.exercises.chapter_{chapter[:2]}", fromlist=["x"])
    questions = [value for value in vars(module).values() if isinstance(value, Question)]
    assert 3 <= len(questions) <= 6
    assert len(questions) == len(notebook.questions(chapter))
    assert all(len(question.hints) >= 2 and question.why for question in questions)


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_no_solution_is_left_in_an_exercise(chapter):
    text = (notebook.EXERCISES / f"{chapter}.ipynb").read_text(encoding="utf-8")
    assert "SOLUTION" not in text
    assert "starting-point" not in text


def test_the_generator_says_which_exercises_are_stale_and_refuses_what_it_does_not_know():
    check = subprocess.run(
        [sys.executable, "-m", "workshop", "exercises", "--check"], cwd=CHECKOUT, capture_output=True, text=True
    )
    assert (check.returncode, check.stdout) == (0, "")
    unknown = subprocess.run(
        [sys.executable, "-m", "workshop", "exercises", "99"], cwd=CHECKOUT, capture_output=True, text=True
    )
    assert unknown.returncode == 2
    assert "There is no solution notebook '99'" in unknown.stderr


# Outcomes


def ask(look, *answer, **changes):
    """Examine an answer to a question made on the spot."""
    made = question(hints=["look", "look there"], why="It matters.")(look)
    made.number, made.chapter = 1, CHAPTERS[0]
    for name, value in changes.items():
        setattr(made, name, value)
    return made.examine(*answer)


def raises(error):
    def look(lab, answer):
        raise error

    return look


@pytest.mark.parametrize(
    ("look", "state", "text"),
    [
        (lambda lab, answer: None, "right", "It matters."),
        (raises(Wrong("it is too small")), "wrong", "it is too small"),
        (raises(NotAttempted("Begin there.")), "not attempted", "Begin there."),
        (raises(NotAttempted()), "not attempted", "Change the cell above, run it, then run this cell again."),
        (raises(ValueError("no number")), "wrong", "the check met ValueError: no number"),
        (raises(SystemExit(3)), "wrong", "the check met SystemExit: 3"),
        (raises(KeyboardInterrupt()), "wrong", "the check was interrupted"),
    ],
)
def test_whatever_happens_in_a_check_ends_in_one_of_three_outcomes(look, state, text):
    outcome = ask(look, "an answer")
    assert (outcome.state, outcome.text) == (state, text)


@pytest.mark.parametrize("answer", [(), ("one", "two")], ids=["too few", "too many"])
def test_a_check_called_with_the_wrong_number_of_answers_says_how_it_is_called(answer):
    outcome = ask(lambda lab, queue_url: None, *answer)
    assert (outcome.state, outcome.text) == ("wrong", "the call is not complete: write q1.check(queue_url)")


def test_a_queue_that_is_gone_is_told_without_a_traceback(sqs, make_queue):
    url = make_queue()
    sqs.delete_queue(QueueUrl=url)
    outcome = ask(lambda lab, url: sqs.send_message(QueueUrl=url, MessageBody="x"), url)
    assert outcome.text == "the queue is not there any more. Run the notebook again from the top: it makes a new one"


@pytest.mark.parametrize(
    ("look", "words"),
    [
        (lambda lab, answer: None, "✓ q1: right"),
        (raises(Wrong("of <this>")), "✗ q1: not right, because"),
        (raises(NotAttempted()), "○ q1: not attempted yet"),
    ],
)
def test_an_outcome_says_in_words_what_it_says_in_colour(look, words):
    shown = ask(look, "x")._repr_mimebundle_()
    assert shown["text/plain"].startswith(words)
    assert words in shown["text/html"]
    assert "<this>" not in shown["text/html"]


def test_a_second_hint_is_stronger_and_the_last_one_leads_to_the_solution(capsys):
    made = question(hints=["look", "look there"], why="")(lambda lab: None)
    made.number = 1
    for _ in range(3):
        made.hint()
    assert capsys.readouterr().out.splitlines() == [
        "→ q1: hint 1 of 2. look For more: q1.hint()",
        "→ q1: hint 2 of 2. look there For more: q1.solution()",
        "→ q1: hint 2 of 2. look there For more: q1.solution()",
    ]


def test_the_solution_that_is_shown_is_the_solution_notebooks(capsys):
    made = question(hints=["look"], why="")(lambda lab: None)
    made.number, made.chapter = 1, "01_create_the_queue"
    made.solution()
    shown = capsys.readouterr().out
    assert 'Attributes={"VisibilityTimeout": "180"}' in notebook.solution("01_create_the_queue", "q1")
    assert "q1: one way to solve it" in shown
    assert "SOLUTION" not in notebook.solution("01_create_the_queue", "q1")


# Not attempted

STARTING_POINT = '''
attributes = {"VisibilityTimeout": "30"}
limit = 5

def handler(event, context):
    """Handle it."""
    return [record["id"] for record in event["Records"]]

class View(APIView):
    permission_classes = []
    parser_classes = [JSONParser]

    def post(self, request):
        return {"ok": True}
'''


class APIView:
    pass


class JSONParser:
    pass


class Locked:
    pass


def cell(code):
    """What a cell defines."""
    namespace = {"APIView": APIView, "JSONParser": JSONParser, "Locked": Locked}
    exec(compile(code, "<cell>", "exec"), namespace)  # noqa: S102
    return namespace


@pytest.mark.parametrize("name", ["attributes", "limit", "handler", "View"])
def test_what_a_learner_was_given_counts_as_not_attempted(name):
    moved = "\n\n\n" + STARTING_POINT.replace("    return [", "    # a comment of the learner's\n    return [")
    assert unchanged(cell(moved)[name], STARTING_POINT)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("attributes", '"30"', '"31"'),
        ("limit", "5", "6"),
        ("handler", '["id"]', '["messageId"]'),
        ("handler", "return [", "return [1] + ["),
        ("View", "permission_classes = []", "permission_classes = [Locked]"),
        ("View", "parser_classes = [JSONParser]", "parser_classes = []"),
        ("View", "True", "False"),
        ("View", "def post", "def put"),
        ("View", "    permission_classes = []\n", ""),
        ("View", "    def post", "    throttled = True\n\n    def post"),
    ],
)
def test_any_change_counts_as_an_attempt(name, old, new):
    assert old in STARTING_POINT
    assert not unchanged(cell(STARTING_POINT.replace(old, new))[name], STARTING_POINT)


@pytest.mark.parametrize("answer", [..., None])
def test_an_empty_answer_counts_as_not_attempted(answer):
    assert unchanged(answer, "")


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
    ("function", "because"),
    [
        (loops, "loops did not return within 0.2 seconds; is there a loop that never ends?"),
        (leaves, "leaves called sys.exit(), which would end the whole process; return instead"),
        (breaks, "breaks raised KeyError: 'missing'"),
        (
            lambda: 1,
            "the lambda() cannot be called as it will be: too many positional arguments; it is given 1 argument",
        ),
        ("breaks", "a function was expected, and this is a str"),
        (7, "a function was expected, and this is an int"),
    ],
)
def test_code_that_breaks_things_gets_a_sentence(function, because):
    with pytest.raises(Wrong) as wrong:
        call(function, 1, timeout=0.2)
    assert str(wrong.value) == because


def test_after_an_endless_loop_the_next_question_still_works():
    before = threading.active_count()
    with pytest.raises(Wrong):
        call(loops, timeout=0.1)
    assert call(len, [1, 2]) == 2
    for thread in threading.enumerate():
        if thread.name.endswith("(run)"):
            thread.join(5)
    assert threading.active_count() <= before


def test_a_coroutine_function_is_awaited():
    assert call(later, 1) == 2


def test_an_expected_exception_can_be_looked_at():
    raised = attempt(breaks)
    assert isinstance(raised.error, KeyError)


@pytest.mark.parametrize(
    ("handler", "because"),
    [
        (loops, "the handler did not return within 0.2 seconds"),
        (breaks, "the handler raised KeyError: 'missing'"),
        (leaves, "the handler raised SystemExit: 3"),
        (lambda event, context: {1, 2}, "the handler raised Runtime.MarshalError"),
        (lambda event: None, "cannot be called as it will be"),
        (None, "a handler is a function, and this is None"),
    ],
)
def test_a_handler_that_breaks_things_gets_a_sentence(handler, because):
    with pytest.raises(Wrong) as wrong:
        call_handler(handler, [record("1", {})], timeout=0.2)
    assert because in str(wrong.value)


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (None, set()),
        ({}, set()),
        ({"batchItemFailures": []}, set()),
        ({"batchItemFailures": [{"itemIdentifier": "1"}]}, {"1"}),
    ],
)
def test_failures_are_read_as_lambda_reads_them(response, expected):
    assert failures(response) == expected


@pytest.mark.parametrize(
    ("response", "because"),
    [
        ("ok", "the handler returned a str"),
        ({"batchItemFailures": "1"}, "batchItemFailures is a str; it must be a list"),
        ({"batchItemFailures": ["1"]}, "batchItemFailures holds a str"),
        ({"batchItemFailures": [{"messageId": "1"}]}, "has the key 'messageId'; Lambda reads only 'itemIdentifier'"),
        ({"batchItemFailures": [{"itemIdentifier": ""}]}, "is not the messageId of a record"),
    ],
)
def test_failures_that_lambda_could_not_read_are_named(response, because):
    with pytest.raises(Wrong) as wrong:
        failures(response)
    assert because in str(wrong.value)


# An exercise as a whole


def test_an_exercise_keeps_the_progress_and_says_it_at_the_end(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("WORKSHOP_PROGRESS_FILE", str(tmp_path / "progress.json"))
    exercise = Exercise("01_create_the_queue", quiet=True)
    q1, q2, *_ = exercise.questions
    q1.check(lambda sqs: sqs.create_queue(QueueName="slow-work", Attributes={"VisibilityTimeout": "180"})["QueueUrl"])
    q2.check(lambda sqs, queue_url: None)
    q2.hint()
    exercise.close()
    assert capsys.readouterr().out.splitlines()[-1] == "Your progress: 1 of 4 right; still open: q2, q3, q4."
    done = exercise.progress.of("01_create_the_queue")
    assert (done["q1"].state, done["q2"].state, done["q2"].hints) == ("right", "wrong", 1)


def test_a_solution_notebook_keeps_no_progress(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("WORKSHOP_PROGRESS_FILE", str(tmp_path / "progress.json"))
    monkeypatch.chdir(notebook.SOLUTIONS)
    exercise = Exercise("01_create_the_queue", quiet=True)
    exercise.questions[1].hint()
    exercise.close()
    assert "Your progress" not in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_where_the_progress_cannot_be_written_the_checks_still_work(tmp_path, monkeypatch, capsys):
    (tmp_path / "in the way").touch()
    monkeypatch.setenv("WORKSHOP_PROGRESS_FILE", str(tmp_path / "in the way" / "progress.json"))
    exercise = Exercise("01_create_the_queue", quiet=True)
    exercise.questions[0].hint()
    exercise.close()
    assert "Your progress cannot be kept" in capsys.readouterr().out
