"""Exercises that check themselves.

    from workshop.exercises import Exercise

    exercise = Exercise("01_create_the_queue")      # opens the lab that the chapter needs
    q1, q2, q3, q4 = exercise.questions
    q1.check(...)    q1.hint()    q1.solution()
    exercise.close()                                # how far you are; closes the lab

A chapter's questions are in `chapter_NN.py`, its notebooks in `exercises/` and `solutions/`.
"""

from workshop import lazy

__getattr__ = lazy.names(__name__, Exercise="exercise")
