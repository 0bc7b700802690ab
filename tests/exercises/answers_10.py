"""Chapter 10: right answers, and wrong ones by the key of the message that they must get (see test_answers.py)."""

q1 = {
    "right": [
        ("range(0, len(bodies), 10)", "list(range(0, len(bodies), 10))[::-1]"),
        """
def send_all(sqs, queue_url, bodies):
    while bodies:
        ten, bodies = bodies[:10], bodies[10:]
        if len(ten) == 1:
            sqs.send_message(QueueUrl=queue_url, MessageBody=ten[0])
        else:
            sqs.send_message_batch(
                QueueUrl=queue_url, Entries=[{"Id": body.replace(" ", "-"), "MessageBody": body} for body in ten]
            )
""",
    ],
    "wrong": {
        "requests": ["as given", ("len(bodies), 10)", "len(bodies), 5)", "start + 10]", "start + 5]")],
        "lost": [
            ("len(bodies), 10)", "len(bodies) - 9, 10)"),
            ("start + 10]", "start + 9]"),
            "def send_all(sqs, queue_url, bodies): ...",
        ],
        "twice": [("len(bodies), 10)", "len(bodies), 5)")],
        "raised": [("str(number)", "number"), ("str(number)", "'one'"), ("start + 10]", "start + 11]")],
        "arguments": ["def send_all(sqs, bodies): ..."],
    },
}

q2 = {
    "right": [
        (
            "statistics.median(times[a]), statistics.median(times[b])",
            "[sorted(times[do])[rounds // 2] for do in (a, b)]",
        ),
        """
def in_turn(a, b, rounds, clock):
    of_a, of_b = [], []
    for _ in range(rounds):
        before = clock()
        a()
        between = clock()
        b()
        of_a.append(between - before)
        of_b.append(clock() - between)
    return statistics.median(of_a), statistics.median(of_b)
""",
    ],
    "wrong": {
        "blocks": ["as given"],
        "mean": [("median(times[a]), statistics.median", "mean(times[a]), statistics.mean")],
        "returned": [
            ("(a, b):", "(b, a):"),
            ("range(rounds)", "range(rounds - 1)"),
            ("statistics.median(times[a]), statistics.median(times[b])", "min(times[a]), min(times[b])"),
            ("return statistics", "statistics"),
        ],
        "arguments": ["def in_turn(a, b): ..."],
    },
}

q3 = {
    "right": [
        ("before / after", "1 / (after / before)"),
        """
def gain(parts, part, factor):
    share = parts[part] / sum(parts.values())
    return 1 / (1 - share + share / factor)
""",
    ],
    "wrong": {
        "the part alone": ["as given"],
        "upside down": [("before / after", "after / before")],
        "returned": [
            ("before / after", "str(before / after)"),
            ("before - parts[part] + parts[part] / factor", "before - parts[part]"),
            ("before / after", "before - after"),
        ],
        "changed": [
            """
def gain(parts, part, factor):
    before = sum(parts.values())
    parts[part] /= factor
    return before / sum(parts.values())
"""
        ],
    },
}
