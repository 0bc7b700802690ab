"""What the board's file holds: the room's code and link, who has joined, and a row for each event."""

import secrets
from hashlib import sha256

from django.db import models

ALPHABET = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"  # without what is mistaken for another: I L O 0 1
CODE_LENGTH = 8  # characters of 31: 40 bits, of which a guesser gets five tries a minute


def new_code() -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(CODE_LENGTH))


class Room(models.Model):
    """The only row: what must be the same when the board is started again."""

    code = models.CharField(max_length=CODE_LENGTH, default=new_code)
    link = models.CharField(max_length=100, default=secrets.token_urlsafe)  # of the page: secret
    address = models.CharField(max_length=300, blank=True)  # host:port, as learners type it

    def __str__(self) -> str:
        return self.address

    @property
    def spelled_code(self) -> str:
        return f"{self.code[:4]}-{self.code[4:]}"


class Member(models.Model):
    """One learner. DRF takes it for the caller; it has none of a Django user's permissions."""

    name = models.CharField(max_length=40)
    key_sha256 = models.CharField(max_length=64, unique=True)  # the key itself stays with the learner

    is_authenticated = True

    def __str__(self) -> str:
        return self.name

    @staticmethod
    def hash_of(key: str) -> str:
        return sha256(key.encode()).hexdigest()


class Event(models.Model):
    """One message, told by one learner. The time is the board's: a learner's clock may be wrong."""

    class What(models.TextChoices):
        RIGHT = "right"
        WRONG = "wrong"
        UP = "up"  # a hand
        DOWN = "down"
        LEFT = "left"  # the room

    member = models.ForeignKey(Member, on_delete=models.CASCADE)
    what = models.CharField(max_length=5)
    chapter = models.CharField(max_length=60, blank=True)
    question = models.CharField(max_length=10, blank=True)
    told_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.member}: {self.what} {self.chapter} {self.question}"
