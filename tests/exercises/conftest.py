"""For tests of a chapter's questions; the module says CHAPTER = "01_create_the_queue"."""

import pytest

from workshop.exercises import Exercise


@pytest.fixture(scope="module")
def exercise(request):
    """The chapter's exercise, with its lab open."""
    exercise = Exercise(request.module.CHAPTER, quiet=True)
    yield exercise
    exercise.lab.close()


@pytest.fixture
def outcome(exercise):
    """outcome(2, answer, ...) -> (state, text) of question 2."""

    def look(number: int, *answer):
        found = exercise.questions[number - 1].examine(*answer)
        return found.state, found.text

    return look
