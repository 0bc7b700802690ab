"""Chapter 11, Deploy to AWS: what its exercise asks, and how it looks at the answers."""

import io
import math
from statistics import mean

from dotenv import dotenv_values

from .calling import call, kind
from .question import Wrong, question
from .template import QUEUE, Template, read

LAB = {"django": False, "queue": False}

FUNCTION_TIMEOUT = 30  # seconds, as the exercise says
DAY = 86_400  # seconds
TOPIC = "arn:aws:sns:us-east-1:123456789012:alarms"
LATEST = 300  # seconds: when the alarm must have sounded

BEGIN, END = "# >>> stack >>>", "# <<< stack <<<"


@question(
    hints=[
        "One fault is a number. Chapter 6 has a rule for it: how long may the function work on a message?",
        "The other fault is something that is not there. In infra/template.yaml, what does the EventSourceMapping have "
        "that this one has not?",
        "VisibilityTimeout: 180, and FunctionResponseTypes: [ReportBatchItemFailures] below BatchSize.",
    ],
    why="Both faults deploy without a word, and then good messages are processed two, three or five times.",
)
def q1(lab, template):
    """The visibility timeout is six times the function's, and the mapping has ReportBatchItemFailures."""
    found = read(template)
    queues, functions = found.of_type(QUEUE), found.of_type("AWS::Lambda::Function")
    mappings = found.of_type("AWS::Lambda::EventSourceMapping")
    for what, resources in [("queue", queues), ("function", functions), ("event source mapping", mappings)]:
        if not resources:
            raise Wrong(f"there is no {what} in it any more; put it back")
    mapping = next(iter(mappings.values()))
    timeout = found.number(next(iter(functions.values())), "Timeout", 3)
    if timeout < FUNCTION_TIMEOUT:
        raise Wrong(
            f"the function's own timeout is now {timeout} seconds, and its work takes up to {FUNCTION_TIMEOUT}: it "
            "would be stopped in the middle. Change the queue instead"
        )
    queue = queues.get(found.queue_of(mapping.get("EventSourceArn")))
    if queue is None:
        raise Wrong("the mapping's EventSourceArn does not lead to the queue of this template")
    visibility = found.number(queue, "VisibilityTimeout", 30)
    needed = 6 * timeout + found.number(mapping, "MaximumBatchingWindowInSeconds", 0)
    reports = "ReportBatchItemFailures" in (mapping.get("FunctionResponseTypes") or [])
    if visibility < needed:
        window = ", and the batching window on top" if needed > 6 * timeout else ""
        raise Wrong(
            f"the queue's visibility timeout is {visibility} seconds. Lambda may have to try again while it holds the "
            f"messages, so AWS advises six times the function's timeout{window}: {needed}"
        )
    if not reports and found.number(mapping, "BatchSize", 10) == 1:
        raise Wrong(
            "batches of one need no report, but each message then costs a call, a receive and a delete of its own. "
            "Keep the batches, and let the mapping read which of their messages failed"
        )
    if not reports:
        raise Wrong(
            "what the function returns is not read (the timeout is right now): when one message of a batch fails, "
            "it is deleted with the others. The mapping must say that the function reports failures"
        )


@question(
    hints=[
        "A second resource of the type AWS::SQS::Queue. And on the first one RedrivePolicy, with deadLetterTargetArn "
        "and maxReceiveCount.",
        "On the dead-letter queue RedriveAllowPolicy, with redrivePermission: byQueue and a list sourceQueueArns.",
        "Only one of the two may refer to the other with !GetAtt. The list holds an ARN that is written out: "
        "!Sub arn:${AWS::Partition}:sqs:${AWS::Region}:${AWS::AccountId}:resize",
    ],
    why="A dead-letter queue that forgets early loses the evidence, and one that takes from everybody hides whose it "
    "was.",
)
def q2(lab, template):
    """A dead-letter queue after five deliveries, for 14 days, for this queue alone; no circle."""
    found = read(template)
    queues = found.of_type(QUEUE)
    source = next((name for name, queue in queues.items() if found.value(queue.get("QueueName")) == "resize"), None)
    if source is None:
        raise Wrong("there is no queue with QueueName: resize in it any more; put it back")
    if len(queues) == 1:
        raise Wrong("there is only one queue in it; the dead-letter queue is a second resource of type AWS::SQS::Queue")
    dead = _dead_letter_queue(found, source)
    kept = found.number(queues[dead], "MessageRetentionPeriod", 4 * DAY)
    if kept < 14 * DAY:
        shown = f"{kept / DAY:.0f} days" if kept >= DAY else f"{kept} seconds"
        raise Wrong(
            f"the dead-letter queue keeps messages for {shown}, and 14 days were asked for. MessageRetentionPeriod is "
            "in seconds; without it, it is 4 days"
        )
    _require_allowed(found, source, dead)


@question(
    hints=[
        "Look at DeadLettersPresent in infra/template.yaml: put_metric_alarm takes the same names as arguments.",
        'The dimension is [{"Name": "QueueName", "Value": dead_letter_queue}]. The alarm\'s own name must differ from '
        "queue to queue.",
        "More than 0 messages is an alarm. A queue that reports nothing is a queue with no dead letters: "
        'TreatMissingData="notBreaching". Both AlarmActions and OKActions take a list with the topic.',
    ],
    why="Dead letters make no noise: without an alarm they are found when a customer asks, or when they have expired.",
)
def q3(lab, watch_dead_letters):
    """watch_dead_letters(cloudwatch, dead_letter_queue, topic_arn) makes an alarm that sounds at the first letter."""
    import boto3

    cloudwatch = boto3.client("cloudwatch")
    names = set()
    try:
        alarm = _alarm_made(cloudwatch, watch_dead_letters, "orders-dlq", names)
        _require_the_metric(alarm, "orders-dlq")
        _require_the_sound(alarm)
        other = _alarm_made(cloudwatch, watch_dead_letters, "letters-dlq", names)
        if other["AlarmName"] == alarm["AlarmName"]:
            raise Wrong(
                "a second call, for another queue, replaced the first alarm: both have the same AlarmName, so the "
                "first queue is not watched any more. Put the queue's name into it"
            )
        _require_the_metric(other, "letters-dlq")
    finally:
        if names:
            cloudwatch.delete_alarms(AlarmNames=sorted(names))


@question(
    hints=[
        "Count first, multiply later: how many SQS requests, how many calls, how many GB-seconds?",
        "Polling is 5 × 3 × 60 × 24 × 30 requests. A message is sent alone; calls, receives and deletes are one for "
        "each batch.",
        "calls = messages / per_call. Requests: polling + messages + 2 * calls. GB-seconds: "
        "calls * seconds * memory_mb / 1024.",
    ],
    why="Whoever can say what twice the traffic costs is not surprised by the bill, and sees that batches are money.",
)
def q4(lab, dollars_a_month):
    """dollars_a_month(messages, per_call, seconds, memory_mb) is right for several kinds of traffic."""
    for traffic in TRAFFIC:
        answer = call(dollars_a_month, *traffic)
        if isinstance(answer, bool) or not isinstance(answer, (int, float)):
            raise Wrong(f"it returned {kind(answer)}; a number of dollars was expected, not rounded and not formatted")
        right = _dollars(*traffic)
        if not math.isclose(answer, right, rel_tol=1e-4):
            messages, per_call, seconds, memory_mb = traffic
            raise Wrong(
                f"for {messages:,} messages, {per_call} in a call, {seconds:g} seconds and {memory_mb} MB it returned "
                f"{answer:.4f}, and {right:.4f} was expected. {_why_not(answer, traffic)}"
            )


@question(
    hints=[
        "Three steps: take an earlier block out of the text, look at what the person has set, put a new block at the "
        "end.",
        "re.sub with flags=re.DOTALL takes the block out. dotenv_values(stream=io.StringIO(text)) reads what is set, "
        "and knows comments, quotes and 'export'.",
        "A name goes into the block unless own.get(name) is something. Before you add the block: does the text end "
        "with a line break? And is there anything to put in?",
    ],
    why="A file that a person and a program both write stays whole only if each knows which lines are its own.",
)
def q5(lab, fill_env):
    """fill_env(env_text, values) -> the new text: one block of the stack's, every other line as it was."""
    queue, region = "https://sqs.us-east-1.amazonaws.com/123456789012/resize", "us-east-1"
    values = {"SQS_QUEUE_URL": queue, "AWS_REGION_NAME": region}

    _filled(fill_env, "", values, "an empty file")
    person = "# my settings\nSECRET_KEY='two words'  # a comment\n\nexport APP_KEY=abc\n"
    once = _filled(fill_env, person, values, "a file with a person's settings")
    _filled(fill_env, "SECRET_KEY=abc", values, "a file whose last line has no line break")
    text = "SQS_QUEUE_URL=https://sqs.example/mine\nSECRET_KEY=abc\n"
    _filled(fill_env, text, values, "a file in which the person has set SQS_QUEUE_URL", keeps="SQS_QUEUE_URL")
    text = "export SQS_QUEUE_URL='https://sqs.example/mine'\n"
    _filled(fill_env, text, values, "a file with 'export SQS_QUEUE_URL=...'", keeps="SQS_QUEUE_URL")
    _filled(fill_env, "SQS_QUEUE_URL=\nSECRET_KEY=abc\n", values, "a file with an empty SQS_QUEUE_URL=")
    _filled(fill_env, "# SQS_QUEUE_URL=https://sqs.example/old\n", values, "a file with SQS_QUEUE_URL in a comment")
    text = "OLD_SQS_QUEUE_URL=x\nSQS_QUEUE_URL_OF_TESTS=y\n"
    _filled(fill_env, text, values, "a file with names that only contain SQS_QUEUE_URL")

    if _filled(fill_env, once, values, "what it returned, given to it again") != once:
        raise Wrong("it is called a second time with the same values, and the text changes; it should stay as it is")
    moved = {**values, "AWS_REGION_NAME": "eu-west-1"}
    _filled(fill_env, once, moved, "a file with an earlier block, and a new region")
    _filled(fill_env, once + "DEBUG=true\n", moved, "a file with a person's line below the block")
    text = once + "AWS_REGION_NAME=sa-east-1\n"
    _filled(fill_env, text, values, "a file whose person has meanwhile set AWS_REGION_NAME", keeps="AWS_REGION_NAME")
    if _without_block(gone := call(fill_env, once, {})) != person or gone != person:
        raise Wrong(
            "without values, which is how a stack's lines are removed, the person's text should be all that is left"
        )
    text = "SQS_QUEUE_URL=https://sqs.example/mine\nAWS_REGION_NAME=sa-east-1\n"
    if call(fill_env, text, values) != text:
        raise Wrong(
            "the person has set all names, so there is nothing to add; the text should stay as it is, without a block"
        )


def _dead_letter_queue(found: Template, source: str) -> str:
    """The dead-letter queue that `source` leads to, in time and at its fifth delivery."""
    policy = _entries(found.of_type(QUEUE)[source], "RedrivePolicy", "deadLetterTargetArn and maxReceiveCount")
    if not policy:
        raise Wrong("the queue 'resize' has no RedrivePolicy, so no message ever leaves it for the dead-letter queue")
    target = policy.get("deadLetterTargetArn")
    dead = found.queue_of(target)
    if dead == source:
        raise Wrong("the redrive policy of 'resize' leads to itself; it must lead to the other queue")
    if dead is None:
        raise Wrong(
            "deadLetterTargetArn does not lead to the other queue of this template. !GetAtt gives an ARN; !Ref gives a "
            "queue's URL"
        )
    depends_on = found.resources[source].get("DependsOn") or []
    if not found.reference(target) and dead not in ([depends_on] if isinstance(depends_on, str) else depends_on):
        raise Wrong(
            "deadLetterTargetArn is written out, so CloudFormation does not see that it needs the other queue, and may "
            "make 'resize' first: SQS then refuses, because the target does not exist. Use !GetAtt here, and write the "
            "ARN of 'resize' out in the other place"
        )
    tries = int(found.value(policy.get("maxReceiveCount", 0)))
    if tries != 5:
        raise Wrong(f"maxReceiveCount is {tries}, and a message should be dead after five deliveries")
    return dead


def _entries(properties: dict, name: str, entries: str) -> dict:
    policy = properties.get(name) or {}
    if not isinstance(policy, dict):
        raise Wrong(f"{name} has two entries below it, {entries}, each on a line of its own")
    return policy


def _require_allowed(found: Template, source: str, dead: str) -> None:
    queues = found.of_type(QUEUE)
    if queues[source].get("RedriveAllowPolicy"):
        raise Wrong(
            "RedriveAllowPolicy is on 'resize'. It belongs to the dead-letter queue: that one says who may use it"
        )
    policy = _entries(queues[dead], "RedriveAllowPolicy", "redrivePermission and sourceQueueArns")
    if not policy:
        raise Wrong(
            "the dead-letter queue has no RedriveAllowPolicy, so every queue of the account may use it for its own "
            "dead letters"
        )
    permission = policy.get("redrivePermission")
    if permission == "denyAll":
        raise Wrong("redrivePermission: denyAll forbids it to every queue, also to 'resize'")
    if permission != "byQueue":
        raise Wrong(f"redrivePermission is {permission}; only with byQueue does the list of queues count")
    arns = policy.get("sourceQueueArns") or []
    if not arns:
        raise Wrong("byQueue needs the list sourceQueueArns, with the ARN of 'resize'")
    if not isinstance(arns, list):
        raise Wrong("sourceQueueArns is not a list: write the ARN on the next line, after a hyphen and a blank")
    allowed = {found.queue_of(arn) for arn in arns}
    if dead in allowed:
        raise Wrong("sourceQueueArns names the dead-letter queue itself; it must name the queue that sends to it")
    if source not in allowed:
        raise Wrong(
            "what stands in sourceQueueArns is not the ARN of 'resize'. It begins with arn, has partition, service, "
            "region and account, and ends with the queue's name"
        )
    if len(arns) > 1:
        raise Wrong(f"sourceQueueArns names {len(arns)} queues; only 'resize' may use this dead-letter queue")
    written = found.text(arns[0])
    if written and "${AWS::AccountId}" not in written and not found.reference(arns[0]):
        raise Wrong(
            "the ARN has an account's number in it, so this template works in one account alone. "
            "Write ${AWS::AccountId} and ${AWS::Region}, with !Sub"
        )
    if written.startswith("arn:aws"):
        raise Wrong(
            "the ARN begins with arn:aws, and in China's regions all ARNs begin with arn:aws-cn. "
            "Write ${AWS::Partition} in its place, with !Sub"
        )


def _alarm_made(cloudwatch, watch_dead_letters, queue: str, names: set[str]) -> dict:
    """The alarm that a call makes or changes. Notes its name in `names` if it is a new one."""
    before = _alarms(cloudwatch)
    call(watch_dead_letters, cloudwatch, queue, TOPIC)
    after = _alarms(cloudwatch)
    names |= after.keys() - before.keys()
    changed = [alarm for name, alarm in after.items() if before.get(name) != alarm]
    if not changed:
        raise Wrong("no alarm was made; cloudwatch.put_metric_alarm(AlarmName=..., ...) makes one")
    if len(changed) > 1:
        raise Wrong(f"{len(changed)} alarms were made; one is enough")
    return _plain(changed[0])


def _alarms(cloudwatch) -> dict[str, dict]:
    pages = cloudwatch.get_paginator("describe_alarms").paginate()
    return {alarm["AlarmName"]: alarm for page in pages for alarm in page["MetricAlarms"]}


def _plain(alarm: dict) -> dict:
    """The alarm, with its metric written as one, if it has it as a list of one."""
    metrics = alarm.get("Metrics") or []
    if len(metrics) != 1 or not (watched := metrics[0].get("MetricStat")):
        return alarm
    return {**alarm, **watched["Metric"], "Statistic": watched["Stat"], "Period": watched["Period"], "Metrics": []}


def _require_the_metric(alarm: dict, queue: str) -> None:
    if alarm.get("Metrics"):
        raise Wrong("it watches an expression of several metrics; one metric of the queue is enough: MetricName=...")
    if alarm.get("Namespace") != "AWS/SQS":
        raise Wrong(f"its Namespace is {alarm.get('Namespace')!r}; the metrics of queues are in 'AWS/SQS'")
    metric = alarm.get("MetricName")
    if metric != "ApproximateNumberOfMessagesVisible":
        raise Wrong(f"its MetricName is {metric!r}. {OTHER_METRICS.get(metric, 'That is not a metric of queues')}")
    dimensions = {dimension["Name"]: dimension["Value"] for dimension in alarm.get("Dimensions") or []}
    if "QueueName" not in dimensions:
        raise Wrong("it has no dimension QueueName, so it does not say which queue; it would never get any data")
    if dimensions["QueueName"] != queue:
        raise Wrong(
            f"its dimension QueueName is {dimensions['QueueName']!r}, and the function was called with {queue!r}. "
            "Such an alarm never sounds, for CloudWatch has no data under another name"
        )
    if len(dimensions) > 1:
        raise Wrong("it has more dimensions than QueueName; SQS reports under that one alone, so it would get no data")


OTHER_METRICS = {
    "ApproximateNumberOfMessages": "That is the queue's attribute; the metric in CloudWatch has one word more",
    "NumberOfMessagesSent": "SQS does not count there what it moves to a dead-letter queue by itself, so it stays at 0",
    "NumberOfMessagesReceived": "Nobody receives from a dead-letter queue, so it stays at 0",
    "ApproximateNumberOfMessagesNotVisible": "Those are in flight. A dead letter waits, and nobody has received it",
    "ApproximateAgeOfOldestMessage": "That is an age. A dead letter keeps the age that it had, so watch the number",
    "Errors": "That is the function's, and a reported failure is no error there. Watch the queue",
}


def _require_the_sound(alarm: dict) -> None:
    """It sounds for one dead letter, soon, and for none of the other reasons; and somebody hears it."""
    for name in ("EvaluationPeriods", "Period", "ComparisonOperator", "Threshold"):
        if alarm.get(name) is None:
            raise Wrong(f"it has no {name}, and AWS refuses such an alarm")
    if alarm.get("Statistic") == "SampleCount":
        raise Wrong("the statistic SampleCount counts the reports, not the messages; take Maximum")
    if not alarm.get("Statistic"):
        raise Wrong("it has no Statistic; take Maximum")
    if _breaches(alarm, 0):
        raise Wrong("it sounds when there are 0 dead letters; such an alarm is soon ignored")
    if not _breaches(alarm, 1):
        raise Wrong(
            f"one dead letter does not make it sound: 1 is not {alarm['ComparisonOperator']} {alarm['Threshold']:g}"
        )
    if not _breaches(alarm, 1000):
        raise Wrong("it sounds for one dead letter and not for a thousand; look at the ComparisonOperator")
    if alarm["Period"] < 60:
        raise Wrong(
            f"its Period is {alarm['Period']} seconds, and SQS reports once a minute: most periods hold no data"
        )
    seconds = alarm["Period"] * (alarm.get("DatapointsToAlarm") or alarm["EvaluationPeriods"])
    if seconds > LATEST:
        raise Wrong(
            f"it takes {seconds // 60} minutes to sound (Period times EvaluationPeriods); five at most were asked for"
        )
    for minute in range(0, alarm["Period"], 60):
        reports = [0] * (minute // 60) + [1] * ((alarm["Period"] - minute) // 60)
        late = 0 if _breaches(alarm, STATISTICS[alarm["Statistic"]](reports)) else alarm["Period"]
        if seconds - minute + late > LATEST:
            raise Wrong(
                f"the first letter may come when {minute // 60} of a period's {alarm['Period'] // 60} minutes are over "
                f"and 0 was reported in them: the {alarm['Statistic']} of that period is too low, and the alarm sounds "
                f"{(seconds - minute + late) // 60} minutes after the letter; five at most were asked for"
            )
    missing = alarm.get("TreatMissingData") or "missing"
    if missing != "notBreaching":
        raise Wrong(f"a queue without traffic stops reporting. {QUIET.get(missing, 'Look at TreatMissingData')}")
    if not alarm.get("ActionsEnabled", True):
        raise Wrong("its actions are switched off (ActionsEnabled), so nobody is told")
    if TOPIC not in alarm.get("AlarmActions", []):
        raise Wrong("it sounds, and tells nobody: AlarmActions must hold the topic's ARN")
    if TOPIC not in alarm.get("OKActions", []):
        raise Wrong("it tells when it begins and not when it is over: OKActions must hold the topic's ARN, too")


STATISTICS = {"Maximum": max, "Minimum": min, "Sum": sum, "Average": mean}

QUIET = {
    "missing": "Then this alarm is INSUFFICIENT_DATA instead of OK; say that missing data is good: TreatMissingData",
    "breaching": "Then this alarm sounds, although all is well: TreatMissingData says that missing data is bad",
    "ignore": "Then this alarm stays as it was, also when it was sounding and the letters are gone: TreatMissingData",
}


def _breaches(alarm: dict, value: float) -> bool:
    threshold = alarm["Threshold"]
    return {
        "GreaterThanThreshold": value > threshold,
        "GreaterThanOrEqualToThreshold": value >= threshold,
        "LessThanThreshold": value < threshold,
        "LessThanOrEqualToThreshold": value <= threshold,
    }.get(alarm["ComparisonOperator"], False)


# messages, messages in a call, seconds of a call, MB
TRAFFIC = [
    (0, 1, 0.2, 256),
    (100_000, 1, 0.2, 256),
    (100_000, 10, 0.2, 256),
    (5_000_000, 10, 1.5, 512),
    (20_000_000, 1, 0.05, 1024),
]

POLLING = 5 * 3 * 60 * 24 * 30  # requests a month


def _dollars(messages, per_call, seconds, memory_mb, **change) -> float:
    """What it costs, as the exercise defines it. `change`: one mistake, to see whether it was made."""
    calls = messages / (1 if change.get("no batches") else per_call)
    sends = calls if change.get("batched sends") else messages
    requests = change.get("polling", POLLING) + sends + change.get("requests a batch", 2) * calls
    gigabytes = memory_mb / change.get("a GB", 1024)
    if change.get("requests for each message"):
        requests = POLLING + 3 * messages
    timed = messages if change.get("time for each message") else calls
    return (
        requests * 0.40 / 1e6
        + (0 if change.get("no calls") else calls * 0.20 / 1e6)
        + (0 if change.get("no time") else timed * seconds * gigabytes * 0.0000133334)
        + change.get("alarms", 4) * 0.10
    )


MISTAKES = [
    ({"polling": 0}, "The pollers ask day and night, also when nothing comes; count their requests"),
    ({"polling": POLLING / 5}, "There are five pollers, not one"),
    ({"polling": POLLING / 3}, "A poller asks three times a minute, not once"),
    ({"polling": POLLING / 30}, "A month has 30 days"),
    ({"polling": POLLING / 24}, "A day has 24 hours, and the pollers ask in each of them"),
    ({"polling": POLLING / 60}, "An hour has 60 minutes, and the pollers ask three times in each of them"),
    ({"alarms": 0}, "The four alarms are missing"),
    ({"alarms": 1}, "There are four alarms, not one"),
    ({"requests a batch": 1}, "A batch is received and deleted: two requests"),
    ({"requests a batch": 0}, "Receiving and deleting are requests, too"),
    ({"no batches": True}, "A batch of several messages is one call, one receive and one delete"),
    ({"requests for each message": True}, "A batch is received with one request and deleted with one"),
    ({"time for each message": True}, "A call takes that time, for all the messages of its batch together"),
    ({"batched sends": True}, "Django sends each message alone; only receiving, deleting and calls are shared"),
    ({"no calls": True}, "A call has a price of its own, besides its time"),
    ({"no time": True}, "The time of the function is missing"),
    ({"a GB": 1}, "The memory is in MB, and the price is for a GB"),
    ({"a GB": 1000}, "Lambda counts 1,024 MB for a GB"),
]


def _why_not(answer: float, traffic: tuple) -> str:
    right = _dollars(*traffic)
    for change, because in MISTAKES:
        wrong = _dollars(*traffic, **change)
        if not math.isclose(wrong, right, rel_tol=1e-4) and math.isclose(answer, wrong, rel_tol=1e-4):
            return because
    if math.isclose(answer, right * 100, rel_tol=1e-4):
        return "That is in cents"
    if math.isclose(answer, right, abs_tol=0.0051):
        return "Do not round"
    return "Write the requests, the calls and the GB-seconds down for this traffic, and compare"


def _filled(fill_env, text: str, values: dict[str, str], what: str, keeps: str = "") -> str:
    """What fill_env makes of `text`, if all is right with it. `keeps`: a name that the person has set."""
    filled = call(fill_env, text, values)
    if not isinstance(filled, str):
        raise Wrong(f"for {what} it returned {kind(filled)}; return the new text")
    if filled.count(BEGIN) != filled.count(END) or filled.count(BEGIN) > 1:
        raise Wrong(
            f"for {what}, the text has {filled.count(BEGIN)} lines {BEGIN!r}, and {filled.count(END)} lines {END!r}"
        )
    if BEGIN not in filled:
        raise Wrong(f"for {what}, there is no line {BEGIN!r}, so the next call cannot know which lines are the stack's")
    if not filled.endswith("\n"):
        raise Wrong(
            f"for {what}, the last line of the text has no line break: what somebody adds to the file would stand on "
            "the same line"
        )
    before, after = _without_block(text), _without_block(filled)
    if after != before and after != before + "\n":
        lost = next((line for line in before.splitlines() if line not in after.splitlines()), None)
        because = f"the line {lost!r} is not there any more" if lost else "other lines than the block's have changed"
        if before.replace("\n", "") == after.replace("\n", ""):
            number = "more" if len(after) > len(before) else "fewer"
            because += f"; there are {number} line breaks between them than before"
        raise Wrong(f"for {what}: {because}. What a person wrote must stay as it is")
    now, own = _values(filled), _values(before)
    if keeps and now.get(keeps) != own[keeps]:
        raise Wrong(
            f"for {what}, Django now reads the stack's value: the later line wins. Leave out what the person has set"
        )
    if spoilt := next((name for name, value in own.items() if name not in values and now.get(name) != value), None):
        raise Wrong(f"for {what}, {spoilt} has another value afterwards: does the block begin on a line of its own?")
    for name, value in values.items():
        if name != keeps and now.get(name) != value:
            raise Wrong(f"for {what}, Django does not read the stack's {name} afterwards, but {now.get(name)!r}")
    if set(_values(_block(filled))) != values.keys() - {keeps}:
        raise Wrong(f"for {what}, the lines of the stack are not all between {BEGIN!r} and {END!r}, or others are")
    return filled


def _block(text: str) -> str:
    return text.partition(BEGIN)[2].partition(END)[0]


def _without_block(text: object) -> str:
    if not isinstance(text, str):
        raise Wrong(f"it returned {kind(text)}; return the new text")
    before, mark, rest = text.partition(BEGIN)
    return before + rest.partition(END)[2].removeprefix("\n") if mark else text


def _values(text: str) -> dict[str, str | None]:
    return dotenv_values(stream=io.StringIO(text))
