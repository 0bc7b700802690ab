"""Exercises that check themselves.

    from workshop.exercises import Exercise

    exercise = Exercise("01_create_the_queue")      # opens the lab that the chapter needs
    q1, q2, q3, q4 = exercise.questions
    q1.check(...)    q1.hint()    q1.solution()
    exercise.close()                                # how far you are; closes the lab

A chapter's questions are in `chapter_NN.py`, its notebooks in `exercises/` and `solutions/`.
"""


def __getattr__(name: str):
    if name != "Exercise":
        raise AttributeError(f"module 'workshop.exercises' has no attribute {name!r}")
    from .exercise import Exercise  # on first use: `python3 -m workshop progress` runs without the packages

    return Exercise
