"""What the page shows, worked out of the events: each learner's answers, the hands, what holds the room up."""

from collections import Counter, defaultdict
from dataclasses import dataclass

from django.conf import settings
from django.db.models import Count, Max, Q
from django.utils import timezone

from .models import Event, Member

STUCK = 3  # wrong answers to one question, before the row says so
ONE_TABLE = 14  # learners; more stand in two tables, side by side where there is room


@dataclass
class Cell:
    """One learner in one chapter: for each question "right", "tried" or nothing."""

    states: list[str]

    @property
    def all_right(self) -> bool:
        return all(state == "right" for state in self.states)

    @property
    def said(self) -> str:
        """For those who listen to the page."""
        return f"{self.states.count('right')} of {len(self.states)} right, {self.states.count('tried')} tried"


@dataclass
class Row:
    """One learner."""

    name: str
    cells: list[Cell]
    hand: int | None = None  # minutes that it has been up
    left: bool = False
    at: str = ""  # the question that was tried last, and is not right yet
    tries: int = 0
    stuck: bool = False


@dataclass
class Answers:
    """One learner's answers to one question."""

    right: bool = False
    wrong: int = 0
    last: int = 0  # the number of the last event

    @property
    def state(self) -> str:
        return "right" if self.right else "tried" if self.wrong else ""


def overview() -> dict:
    answers = _answers()
    hands, left = _hands_and_left()
    rows = [_row(pk, name, answers[pk], hands, left) for pk, name in sorted(names().items(), key=_by_name)]
    here = [row for row in rows if not row.left]
    half = len(rows) if len(rows) <= ONE_TABLE else (len(rows) + 1) // 2
    return {
        "chapters": [(_number(chapter), chapter[3:].replace("_", " ")) for chapter in settings.CHAPTERS],
        "tables": [table for table in (rows[:half], rows[half:]) if table],
        "here": len(here),
        "hands": sorted((row for row in here if row.hand is not None), key=lambda row: -row.hand),
        "hardest": _hardest(answers, left),
    }


def names() -> dict[int, str]:
    """Member -> name as it is shown: the second of two Anas is Ana (2)."""
    seen: Counter[str] = Counter()
    shown = {}
    for pk, name in Member.objects.order_by("pk").values_list("pk", "name"):
        seen[name.casefold()] += 1
        shown[pk] = name if seen[name.casefold()] == 1 else f"{name} ({seen[name.casefold()]})"
    return shown


def _by_name(named: tuple[int, str]) -> str:
    return named[1].casefold()


def _answers() -> dict[int, dict[tuple[str, str], Answers]]:
    """Member -> (chapter, question) -> answers."""
    found: dict = defaultdict(dict)
    checks = Event.objects.filter(what__in=[Event.What.RIGHT, Event.What.WRONG])
    for member, chapter, question, right, wrong, last in checks.values_list("member", "chapter", "question").annotate(
        right=Count("pk", filter=Q(what=Event.What.RIGHT)),
        wrong=Count("pk", filter=Q(what=Event.What.WRONG)),
        last=Max("pk"),
    ):
        found[member][chapter, question] = Answers(right > 0, wrong, last)
    return found


def _hands_and_left() -> tuple[dict[int, int], set[int]]:
    """Member -> minutes since the hand went up, of those that are up; and who has left."""
    up, left = {}, set()
    now = timezone.now()
    others = Event.objects.filter(what__in=[Event.What.UP, Event.What.DOWN, Event.What.LEFT]).order_by("pk")
    for member, what, told_at in others.values_list("member", "what", "told_at"):
        if what == Event.What.UP:
            up.setdefault(member, max(0, int((now - told_at).total_seconds() // 60)))  # a clock may be set back
        else:
            up.pop(member, None)
        if what == Event.What.LEFT:
            left.add(member)
    return up, left


def _row(pk: int, name: str, answers: dict, hands: dict, left: set) -> Row:
    nothing = Answers()
    cells = [
        Cell([answers.get((chapter, question), nothing).state for question in questions])
        for chapter, questions in settings.CHAPTERS.items()
    ]
    row = Row(name, cells, hands.get(pk), pk in left)
    tried = [(each.last, where, each.wrong) for where, each in answers.items() if not each.right]
    if tried:
        _, where, row.tries = max(tried)
        row.at, row.stuck = f"{_number(where[0])}.{where[1][1:]}", row.tries >= STUCK
    return row


def _hardest(answers: dict, left: set) -> list[dict]:
    """The three questions that the most learners have tried and not solved; then the ones tried the most."""
    stuck, tries, solved = Counter(), Counter(), Counter()
    for member, questions in answers.items():
        for where, each in questions.items():
            solved[where] += each.right
            if not each.right and member not in left:
                stuck[where] += 1
                tries[where] += each.wrong
    first = sorted(stuck, key=lambda where: (-stuck[where], -tries[where], where))[:3]
    return [
        {"chapter": _number(where[0]), "number": where[1][1:], "stuck": stuck[where], "solved": solved[where]}
        for where in first
    ]


def _number(chapter: str) -> str:
    return chapter[:2].lstrip("0")
