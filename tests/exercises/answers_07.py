"""Chapter 7: right answers, and wrong ones by the key of the message that they must get (see test_answers.py)."""

q1 = {
    "right": [
        """
def save_image(title, approve):
    from functools import partial

    with transaction.atomic():
        image = Image.objects.create(title=title)
        approve(image)
        transaction.on_commit(partial(SqSManager.send, addressed(announcement(image))), robust=True)
        return image
""",
        (
            "transaction.on_commit(lambda: SqSManager.send(addressed(announcement(image))))",
            "outbox.enqueue(announcement(image))",
        ),
        (
            "transaction.on_commit(lambda: SqSManager.send(addressed(announcement(image))))",
            "OutboxMessage.objects.create(body=announcement(image))",
        ),
    ],
    "wrong": {
        "ghost": ["as given"],
        "raised": [("lambda: ", ""), ("addressed(", "str(")],
        "early": [
            """
def save_image(title, approve):
    with transaction.atomic():
        image = Image.objects.create(title=title)
        approve(image)
    SqSManager.send(addressed(announcement(image)))
    return image
""",
        ],
        "kept": [
            ("    with transaction.atomic():", "    if True:", "        approve(image)", "        approve(image)")
        ],
        "swallowed": [
            (
                "        approve(image)",
                "        try:\n            approve(image)\n        except Exception:\n"
                "            transaction.set_rollback(True)",
            )
        ],
        "messages": [
            ("lambda: SqSManager.send(addressed(announcement(image)))", "lambda: None"),
            ("        approve", "        outbox.enqueue(announcement(image))\n        approve"),
        ],
        "returned": [("    return image", "    return title"), ("approve(image)", "approve(title)")],
    },
}

q2 = {
    "right": [
        'effects = dict(a="ghost", b="lost", c="neither", d="lost", e="ghost")',
        'effects = {"c": "Neither"} | dict.fromkeys("ae", "ghost") | dict.fromkeys("bd", "lost")',
    ],
    "wrong": {
        "a": ["as given", ('"a": "ghost"', '"a": "both"')],
        "b": [('"b": "lost"', '"b": "neither"')],
        "c": [('"neither"', '"lost"')],
        "d": [('"d": "lost"', '"d": "neither"'), ('"d": "lost"', '"d": ...')],
        "e": [('"e": "ghost"', '"e": "neither"'), ('"e": "ghost"', '"e": "both"')],
        "returned": [("effects = {", "effects = [")] and ["effects = ['ghost', 'lost', 'neither', 'lost', 'ghost']"],
    },
}

q3 = {
    "right": [
        """
@transaction.atomic
def save_all(titles):
    images = [Image(title=title) for title in titles]
    Image.objects.bulk_create(images)
    OutboxMessage.objects.bulk_create(OutboxMessage(body=announcement(image)) for image in images)
    return tuple(images)
""",
        """
def save_all(titles):
    with transaction.atomic():
        images = Image.objects.bulk_create(map(lambda title: Image(title=title), titles))
        list(map(outbox.enqueue, map(announcement, images)))
        return images
""",
    ],
    "wrong": {
        "half": [
            "as given",
            """
def save_all(titles):
    images = Image.objects.bulk_create([Image(title=title) for title in titles])
    with transaction.atomic():
        for image in images:
            outbox.enqueue(announcement(image))
    return images
""",
        ],
        "inserts": [
            (
                "Image.objects.bulk_create([Image(title=title) for title in titles])",
                "[super(Image, image).save() or image for image in [Image(title=title) for title in titles]]",
            )
        ],
        "messages": [
            ("            outbox.enqueue(announcement(image))", "            pass"),
            ("for image in images:", "for image in images[:1]:"),
            ("outbox.enqueue(announcement(image))", "SqSManager.send(addressed(announcement(image)))"),
        ],
        "swallowed": [
            (
                "    with transaction.atomic():",
                "    import contextlib\n\n    with contextlib.suppress(Exception), transaction.atomic():",
                "    return images",
                "        return images",
            )
        ],
        "returned": [("    return images", "    return len(images)"), ("in titles", "in titles[:2]")],
    },
}

q4 = {
    "right": [
        """
def enqueue(msg, send):
    row = OutboxMessage(body=msg)
    row.not_before = timezone.now() + timedelta(seconds=90)
    row.save()
    stored = OutboxMessage.objects.filter(pk=row.pk)

    def send_now():
        try:
            message_id = send(msg)
        except Exception as error:
            stored.update(not_before=timezone.now(), last_error=repr(error))
        else:
            stored.update(not_before=None, message_id=message_id, sent_at=timezone.now())

    transaction.on_commit(send_now, robust=True)
    return row
""",
        ("timedelta(minutes=1)", "timedelta(minutes=59)", "except Exception", "except BaseException"),
    ],
    "wrong": {
        "twice": [
            "as given",
            (", not_before=timezone.now() + timedelta(minutes=1)", ""),
            ("+ timedelta", "- timedelta"),
            (
                ", not_before=timezone.now() + timedelta(minutes=1)",
                "",
                "        try:\n",
                "        row.not_before = timezone.now() + timedelta(minutes=1)\n        row.save()\n        try:\n",
            ),
        ],
        "claim": [("timedelta(minutes=1)", "timedelta(days=1)"), ("timezone.now() + timedelta(minutes=1)", "None")],
        "caller": [("except Exception", "except ValueError")],
        "reason": [
            ("            row.last_error = str(error)\n", ""),
            ("except Exception as error", "except ZeroDivisionError as error", "(send_now)", "(send_now, robust=True)"),
            (
                "            row.not_before = timezone.now()\n",
                "            row.sent_at = row.not_before = timezone.now()\n",
            ),
        ],
        "not free": [
            ("            row.not_before = timezone.now()\n", ""),
            ("row.not_before = timezone.now()", "row.not_before = None"),
        ],
        "early": [("transaction.on_commit(send_now)", "send_now()"), ("    transaction.on_commit(send_now)\n", "")],
        "not noted": [("        row.save()\n", ""), ("row.message_id = send", "send")],
        "not stored": [("    return row", "    row.delete()\n    return row")],
        "returned": [("    return row", "    return row.pk")],
    },
}

q5 = {
    "right": [
        (  # whoever is first changes what the other looks for
            "waiting.filter(pk=row.pk).update(not_before=row.not_before)",
            "OutboxMessage.objects.filter(pk=row.pk, sent_at=None, not_before=seen).update(not_before=row.not_before)",
            '    for row in waiting.order_by("id"):\n',
            '    for row in waiting.order_by("id"):\n        seen = row.not_before\n',
        ),
        """
def relay(send):
    now, until = timezone.now(), timezone.now() + timedelta(seconds=60)
    with transaction.atomic():
        free = OutboxMessage.objects.select_for_update(skip_locked=True).filter(sent_at=None, not_before__lte=now)
        rows = list(free.order_by("id"))
        OutboxMessage.objects.filter(pk__in=[row.pk for row in rows]).update(not_before=until)
    results = []
    for row in rows:
        mine = OutboxMessage.objects.filter(pk=row.pk)
        try:
            message_id = send(row.body)
        except Exception as error:
            mine.update(last_error=str(error), not_before=now)
            results.append(0)
        else:
            results.append(mine.update(message_id=message_id, sent_at=timezone.now(), not_before=None))
    return sum(results)
""",
        (
            "        if not waiting.filter(pk=row.pk).update(not_before=row.not_before):\n            continue",
            "        if waiting.filter(pk=row.pk).update(not_before=row.not_before) == 0:\n            continue",
        ),
        """
def relay(send):
    sent = 0
    for pk in OutboxMessage.objects.filter(sent_at=None).order_by("pk").values_list("pk", flat=True):
        with transaction.atomic():
            row = OutboxMessage.objects.get(pk=pk)
            if row.sent_at or row.not_before > timezone.now():
                continue
            row.not_before = timezone.now() + timedelta(minutes=1)
            row.save()
        try:
            row.message_id, row.sent_at = send(row.body), timezone.now()
        except Exception as error:
            row.last_error, row.not_before = str(error), timezone.now()
        else:
            sent += 1
        row.save()
    return sent
""",
    ],
    "wrong": {
        "twice": [
            "as given",
            ("waiting.filter(pk=row.pk)", "OutboxMessage.objects.filter(pk=row.pk)"),
            ("waiting.filter(pk=row.pk)", "OutboxMessage.objects.filter(pk=row.pk, sent_at=None)"),
            ("update(not_before=row.not_before)", "exists()"),
            ("update(not_before=row.not_before)", "exists()", "        try:", "        row.save()\n        try:"),
        ],
        "transaction": [
            """
@transaction.atomic
def relay(send):
    sent = 0
    for row in OutboxMessage.objects.filter(sent_at=None, not_before__lte=timezone.now()).order_by("id"):
        try:
            row.message_id, row.sent_at = send(row.body), timezone.now()
            sent += 1
        except Exception as error:
            row.last_error = str(error)
        row.save()
    return sent
"""
        ],
        "claim": [("timedelta(minutes=1)", "timedelta(days=1)")],
        "rows": [
            ("            sent += 1", "            sent += 1\n            break"),
            ('order_by("id")', 'order_by("-id")'),
            ("            row.sent_at = timezone.now()\n", ""),
            ("row.message_id = send", "send"),
        ],
        "bad row": [
            ("            row.last_error = str(error)\n", ""),
            ("            row.not_before = timezone.now()\n", ""),
        ],
        "raised": [("except Exception", "except ValueError")],
        "returned": [("            sent += 1\n", ""), ("    return sent", "    return sent + 1")],
    },
}
