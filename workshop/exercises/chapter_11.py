"""Chapter 11, Deploy to AWS: what its exercise asks, and how it looks at the answers."""

import math
from statistics import mean

import boto3

from .calling import call
from .question import Wrong, question
from .template import QUEUE, read

LAB = {"django": False, "queue": False}

FUNCTION_TIMEOUT = 30  # seconds, as the exercise says
DAY = 86_400  # seconds
TOPIC = "arn:aws:sns:us-east-1:123456789012:alarms"
LATEST = 3  # minutes until the alarm must have sounded
POLLING = 5 * 3 * 60 * 24 * 30  # requests a month
ELSEWHERE = {"AWS::Partition": "aws-cn", "AWS::Region": "cn-north-1", "AWS::AccountId": "210987654321"}


@question(
    hints=[
        "One fault is a number. Chapter 6 has a rule for it: how long may the function work on a message?",
        "The other fault is something that is not there. In infra/template.yaml, what does the EventSourceMapping have "
        "that this one has not?",
        "VisibilityTimeout: 180, and FunctionResponseTypes: [ReportBatchItemFailures] below BatchSize.",
    ],
    why="What this template deploys processes a good message once, and keeps a bad one.",
)
def q1(lab, template):
    """The visibility timeout is six times the function's, and the mapping has ReportBatchItemFailures."""
    found = read(template)
    queue, function = found.one(QUEUE), found.one("AWS::Lambda::Function")
    mapping = found.one("AWS::Lambda::EventSourceMapping")
    timeout, visibility = found.number(function, "Timeout", 3), found.number(queue, "VisibilityTimeout", 30)
    if timeout < FUNCTION_TIMEOUT:
        raise Wrong("function", f"the function is stopped after {timeout} seconds, in the middle of its work")
    if visibility < 6 * timeout + found.number(mapping, "MaximumBatchingWindowInSeconds", 0):
        raise Wrong("timeout", f"a message comes back after {visibility} seconds, when Lambda may still hold it")
    if "ReportBatchItemFailures" not in (mapping.get("FunctionResponseTypes") or []):
        raise Wrong("report", "nobody reads which messages the function reports as failed: they are deleted, too")


@question(
    hints=[
        "Only one of the two queues may refer to the other with !GetAtt. Which one must be there first?",
        "sourceQueueArns can hold an ARN that is written out, with !Sub. The days are MessageRetentionPeriod, in "
        "seconds.",
        "- !Sub arn:${AWS::Partition}:sqs:${AWS::Region}:${AWS::AccountId}:resize, and MessageRetentionPeriod: 1209600",
    ],
    why="One template makes both queues anywhere, and a dead letter is there for two weeks.",
)
def q2(lab, with_dead_letters):
    """A dead-letter queue after five deliveries, for 14 days, for this queue alone; no circle."""
    found = read(with_dead_letters)
    queues = {found.text(queue.get("QueueName")): name for name, queue in found.of_type(QUEUE).items()}
    if set(queues) != {"resize", "resize-dlq"}:
        raise Wrong("queues", f"the queues are called {', '.join(queues)}; resize and resize-dlq were expected")
    queue, dead = (found.of_type(QUEUE)[queues[name]] for name in ("resize", "resize-dlq"))
    policy, allow = queue.get("RedrivePolicy") or {}, dead.get("RedriveAllowPolicy") or {}
    if found.reference(policy.get("deadLetterTargetArn")) != queues["resize-dlq"]:
        raise Wrong("order", "CloudFormation cannot see that 'resize' needs the other queue, and may make it first")
    if found.number(policy, "maxReceiveCount", 0) != 5:
        raise Wrong("tries", "a message of 'resize' is not dead after five deliveries")
    if (kept := found.number(dead, "MessageRetentionPeriod", 4 * DAY)) != 14 * DAY:
        raise Wrong("days", f"the dead-letter queue keeps its messages for {kept:,} seconds, {kept / DAY:.2g} days")
    arns = [found.text(arn, ELSEWHERE) for arn in allow.get("sourceQueueArns") or []]
    if allow.get("redrivePermission") != "byQueue" or len(arns) != 1:
        raise Wrong("allowed", "not only 'resize' may use the dead-letter queue, or nobody may")
    if arns != [f"arn:aws-cn:sqs:cn-north-1:{ELSEWHERE['AWS::AccountId']}:resize"]:
        raise Wrong("ARN", f"in China, in the region cn-north-1, it allows a queue that is not there: {arns[0]!r}")


@question(
    hints=[
        "Five lines are wrong or missing. For each rule ask which one: the name, the statistic with its period, the "
        "threshold, the missing data, the actions.",
        "When three minutes of five reported 0, the minimum of the five is 0. And 1 is not greater than 1.",
        "f'dead-letters-{dead_letter_queue}', Maximum, Threshold=0, notBreaching, and OKActions=[topic_arn].",
    ],
    why="You hear of the first dead letter minutes after it is one, and not from a customer.",
)
def q3(lab, watch_dead_letters):
    """watch_dead_letters(cloudwatch, dead_letter_queue, topic_arn) makes an alarm that sounds at the first letter."""
    cloudwatch, queues = boto3.client("cloudwatch"), ["orders-dlq", "letters-dlq"]
    names = [alarm["AlarmName"] for alarm in cloudwatch.describe_alarms()["MetricAlarms"]]
    cloudwatch.delete_alarms(AlarmNames=names)  # of another try
    for queue in queues:
        call(watch_dead_letters, cloudwatch, queue, TOPIC)
    alarms = cloudwatch.describe_alarms()["MetricAlarms"]
    for alarm in alarms:
        if (alarm.get("Namespace"), alarm.get("MetricName")) != ("AWS/SQS", "ApproximateNumberOfMessagesVisible"):
            raise Wrong("metric", f"it watches {alarm.get('MetricName')} of {alarm.get('Namespace')}")
        if alarm["Period"] % 60:
            raise Wrong("period", "SQS reports once a minute, and its periods are shorter: most of them hold no data")
        minutes = _minutes_to_sound(alarm)
        if minutes == 0:
            raise Wrong("always", "it sounds also when there are 0 dead letters")
        if minutes > LATEST:
            sounds = f"sounds after {minutes} minutes" if minutes < NEVER else "never sounds"
            raise Wrong("late", f"when one dead letter comes and stays, it {sounds}")
        if alarm.get("TreatMissingData") != "notBreaching":
            raise Wrong("quiet", "for a queue that nobody uses and that reports nothing, it is not OK")
        actions = [alarm.get("AlarmActions") or [], alarm.get("OKActions") or []]
        if not alarm.get("ActionsEnabled", True) or not all(TOPIC in told for told in actions):
            raise Wrong("told", "the topic is not told both when it begins to sound, and when that is over")
    watched = [[dimension["Value"] for dimension in alarm["Dimensions"]] for alarm in alarms]
    if sorted(watched) != [["letters-dlq"], ["orders-dlq"]]:
        raise Wrong("queues", f"it was called for {' and for '.join(queues)}, and its alarms watch {watched}")


STATISTICS = {"Maximum": max, "Minimum": min, "Sum": sum, "Average": mean, "SampleCount": len}
NEVER = 60  # minutes


def _minutes_to_sound(alarm: dict) -> int:
    """How many minutes after a letter has come it sounds: looked at once a minute, at the periods that end then."""
    length, count = alarm["Period"] // 60, alarm["EvaluationPeriods"]
    for minutes in range(NEVER):
        reports = [0] * length * count + [1] * minutes
        periods = [reports[end - length : end] for end in range(len(reports), minutes, -length)]
        breaching = [_breaches(alarm, STATISTICS[alarm["Statistic"]](period)) for period in periods]
        if sum(breaching) >= (alarm.get("DatapointsToAlarm") or count):
            return minutes
    return NEVER


def _breaches(alarm: dict, value: float) -> bool:
    threshold = alarm["Threshold"]
    return {
        "GreaterThanThreshold": value > threshold,
        "GreaterThanOrEqualToThreshold": value >= threshold,
        "LessThanThreshold": value < threshold,
        "LessThanOrEqualToThreshold": value <= threshold,
    }[alarm["ComparisonOperator"]]


@question(
    hints=[
        "Take a month without any message: what do you pay for? Then look at the units.",
        "Polling is 5 × 3 × 60 × 24 × 30 requests. The memory is in MB, and the price is for a GB.",
        "requests = 5 * 3 * 60 * 24 * 30 + messages + 2 * calls, memory_mb / 1024, and 4 * 0.10.",
    ],
    why="You can say what twice the traffic will cost, and see that batches are money.",
)
def q4(lab, dollars_a_month):
    """dollars_a_month(messages, per_call, seconds, memory_mb) is right for several kinds of traffic."""
    for key, messages, per_call, seconds, memory_mb in [
        ("no message", 0, 1, 0.2, 256),
        ("traffic", 100_000, 1, 0.2, 256),
        ("traffic", 5_000_000, 10, 1.5, 512),
        ("traffic", 20_000_000, 4, 0.05, 1024),
    ]:
        calls = messages / per_call
        requests, gb_seconds = POLLING + messages + 2 * calls, calls * seconds * memory_mb / 1024
        right = requests * 0.40 / 1e6 + calls * 0.20 / 1e6 + gb_seconds * 0.0000133334 + 4 * 0.10
        found = call(dollars_a_month, messages, per_call, seconds, memory_mb)
        if not isinstance(found, (int, float)) or not math.isclose(found, right, rel_tol=1e-6):
            traffic = f"{messages:,} messages, {per_call} in a call, {seconds} seconds and {memory_mb} MB"
            raise Wrong(key, f"for {traffic} it returned {found}, and {right:.6f} was expected")
