import io
import re
import sys

import pytest
from dotenv import dotenv_values

from workshop.exercises import notebook

CHAPTER = "11_deploy_to_aws"


def solved(name):
    """What the solution notebook's cell of that question defines."""
    namespace = {"re": re, "io": io, "dotenv_values": dotenv_values}
    exec(notebook.solution(CHAPTER, name), namespace)  # noqa: S102
    return namespace


def changed(text, *changes):
    """`text` with each (old, new) done; an old one that is not there would prove nothing."""
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return text


# Question 1

TEMPLATE = solved("q1")["template"]
REPORTS = "      FunctionResponseTypes: [ReportBatchItemFailures]\n"


PARAMETER = ("Resources:", "Parameters:\n  Hidden: {Type: Number, Default: 180}\nResources:")
WINDOW = "Size: 10\n      MaximumBatchingWindowInSeconds: 20"
SHORT_FUNCTION = ("Timeout: 30\n      Role", "Timeout: 5\n      Role")
REFUSED = "CloudFormation would refuse it, line"


@pytest.mark.parametrize(
    "changes",
    [
        [],
        [("Timeout: 180", "Timeout: 300"), ("Size: 10", "Size: 5")],
        [("Size: 10", WINDOW), ("Timeout: 180", "Timeout: 200")],
        [("Timeout: 180", "Timeout: !Ref Hidden"), PARAMETER],
        [("!GetAtt Queue.Arn", "{'Fn::GetAtt': [Queue, Arn]}")],
        [("!GetAtt Queue.Arn", "!Sub ${Queue.Arn}")],
    ],
    ids=["repaired", "other values", "with a window", "a parameter", "the long way to an ARN", "an ARN with Sub"],
)
def test_q1_takes_any_template_with_enough_time_and_a_report(outcome, changes):
    assert outcome(1, changed(TEMPLATE, *changes))[0] == "right"


@pytest.mark.parametrize(
    ("changes", "because"),
    [
        ([("Timeout: 180", "Timeout: 30")], "is 30 seconds. Lambda may have to try again"),
        (
            [("Timeout: 180", "Timeout: 20")],
            f"{REFUSED} 7: Queue visibility timeout (20) is less than Function timeout",
        ),
        ([("Timeout: 180", "Timeout: 30"), SHORT_FUNCTION], "function's own timeout is now 5"),
        ([("Size: 10", WINDOW)], "six times the function's timeout, and the batching window on top: 200"),
        ([("Timeout: 180", "Timeout: 50000")], "50000 is greater than the maximum"),
        ([(REPORTS, "")], "The mapping must say that the function reports failures"),
        ([(REPORTS, ""), ("Size: 10", "Size: 1")], "each message then costs a call"),
        ([(REPORTS, ""), ("Timeout: 30\n", "Timeout: 30\n" + REPORTS)], f"{REFUSED} 16: this resource has no"),
        ([(REPORTS, "      ReportBatchItemFailures: true\n")], "it is an entry of the list FunctionResponseTypes"),
        ([("[ReportBatchItemFailures]", "[ReportBatchItemFailure]")], f"{REFUSED} 25: 'ReportBatchItemFailure'"),
        ([("FunctionResponseTypes", "FunctionResponsTypes")], "Did you mean 'FunctionResponseTypes'"),
        ([("[ReportBatchItemFailures]", "ReportBatchItemFailures")], "a list belongs there: [ReportBatchItemFailures]"),
        ([("VisibilityTimeout", "VisibilityTimeOut")], "Did you mean 'VisibilityTimeout'"),
        ([("      VisibilityTimeout", "\tVisibilityTimeout")], "this is not YAML, line"),
        ([("Resources:", "Resource:")], "there is no section 'Resources:'"),
        ([("    Type: AWS::SQS::Queue\n", "")], "the resource Queue has no 'Type:'"),
        ([("!GetAtt Queue.Arn", "arn:aws:sqs:us-east-1:123456789012:other")], "does not lead to the queue"),
        ([(TEMPLATE[TEMPLATE.index("  EventSource") :], "")], "there is no event source mapping in it any more"),
    ],
)
def test_q1_says_what_is_not_right(outcome, changes, because):
    state, text = outcome(1, changed(TEMPLATE, *changes))
    assert state == "wrong"
    assert because in text


@pytest.mark.parametrize(
    "change",
    [
        ("Timeout: 180", "Timeout: 50000"),
        ("FunctionResponseTypes", "FunctionResponsTypes"),
        ("[ReportBatchItemFailures]", "ReportBatchItemFailures"),
        ("VisibilityTimeout", "VisibilityTimeOut"),
    ],
)
def test_q1_takes_no_wrong_template_where_cfn_lint_is_not_installed(outcome, change, monkeypatch):
    monkeypatch.setitem(sys.modules, "cfnlint", None)
    assert outcome(1, changed(TEMPLATE))[0] == "right"
    assert outcome(1, changed(TEMPLATE, change))[0] == "wrong"


@pytest.mark.parametrize("answer", [7, {"Resources": {}}, "", "just words"])
def test_q1_survives_what_is_no_template(outcome, answer):
    assert outcome(1, answer)[0] == "wrong"


# Question 2

LETTERS = solved("q2")["with_dead_letters"]
WRITTEN_OUT = "!Sub arn:${AWS::Partition}:sqs:${AWS::Region}:${AWS::AccountId}:resize"
ALLOWED = LETTERS[LETTERS.index("      RedriveAllow") :]
REDRIVE = "      RedrivePolicy:\n        deadLetterTargetArn: !GetAtt DeadLetterQueue.Arn\n        maxReceiveCount: 5\n"
TO_DLQ_BY_NAME = ("!GetAtt DeadLetterQueue.Arn", WRITTEN_OUT + "-dlq")


@pytest.mark.parametrize(
    "changes",
    [
        [],
        [("QueueName: resize-dlq\n      ", "")],
        [(WRITTEN_OUT, "!Join [':', [arn, !Ref AWS::Partition, sqs, !Ref AWS::Region, !Ref AWS::AccountId, resize]]")],
        [(WRITTEN_OUT, "!Sub arn:aws:sqs:${AWS::Region}:${AWS::AccountId}:resize")],
        [TO_DLQ_BY_NAME, ("  Queue:\n", "  Queue:\n    DependsOn: DeadLetterQueue\n")],
        [
            ("Resources:", "Parameters:\n  Name: {Type: String, Default: resize}\nResources:"),
            ("QueueName: resize\n", "QueueName: !Ref Name\n"),
            (":resize\n", ":${Name}\n"),
        ],
    ],
    ids=["written out", "a name by CloudFormation", "joined", "one partition", "told to depend", "a parameter"],
)
def test_q2_takes_any_way_to_a_dead_letter_queue_for_this_queue_alone(outcome, changes):
    assert outcome(2, changed(LETTERS, *changes))[0] == "right"


@pytest.mark.parametrize(
    ("changes", "because"),
    [
        ([(WRITTEN_OUT, "!GetAtt Queue.Arn")], "two resources refer to each other, so neither can be made first"),
        ([TO_DLQ_BY_NAME, (WRITTEN_OUT + "\n", "!GetAtt Queue.Arn\n")], "may make 'resize' first: SQS then refuses"),
        ([TO_DLQ_BY_NAME], "may make 'resize' first: SQS then refuses"),
        ([(LETTERS[LETTERS.index("  DeadLetterQueue:") :], ""), (REDRIVE, "")], "there is only one queue in it"),
        ([("QueueName: resize\n", "QueueName: enlarge\n")], "there is no queue with QueueName: resize"),
        ([(REDRIVE, "")], "has no RedrivePolicy, so no message ever leaves it"),
        ([("!GetAtt DeadLetterQueue.Arn", WRITTEN_OUT)], "leads to itself"),
        ([("!GetAtt DeadLetterQueue.Arn", "!Ref DeadLetterQueue")], "!Ref gives a queue's URL"),
        ([("maxReceiveCount: 5", "maxReceiveCount: 3")], "maxReceiveCount is 3"),
        ([("      MessageRetentionPeriod: 1209600\n", "")], "keeps messages for 4 days, and 14 days were asked for"),
        ([("1209600", "14")], "CloudFormation would refuse it"),
        ([("1209600", "1209")], "keeps messages for 1209 seconds"),
        ([(ALLOWED, "")], "every queue of the account may use it"),
        ([(ALLOWED, ""), (REDRIVE, REDRIVE + ALLOWED)], "RedriveAllowPolicy is on 'resize'"),
        ([(ALLOWED, "      RedriveAllowPolicy: {redrivePermission: allowAll}\n")], "only with byQueue"),
        ([(ALLOWED, "      RedriveAllowPolicy: {redrivePermission: denyAll}\n")], "forbids it to every queue"),
        ([(ALLOWED, "      RedriveAllowPolicy: {redrivePermission: byQueue}\n")], "byQueue needs the list"),
        ([(ALLOWED, "      RedriveAllowPolicy: byQueue\n")], "RedriveAllowPolicy has two entries below it"),
        ([(WRITTEN_OUT, "resize")], "is not the ARN of 'resize'"),
        ([("\n          - !Sub", " !Sub")], "sourceQueueArns is not a list"),
        ([(":resize\n", ":${QueueName}\n")], "there is no parameter and no resource 'QueueName' in this template"),
        ([(":resize\n", ":resize-dlq\n")], "names the dead-letter queue itself"),
        ([(":resize\n", ":enlarge\n")], "is not the ARN of 'resize'"),
        ([(WRITTEN_OUT, "arn:aws:sqs:us-east-1:123456789012:resize")], "works in one account alone"),
        ([(WRITTEN_OUT, f"{WRITTEN_OUT}\n          - {WRITTEN_OUT}2")], "names 2 queues"),
    ],
)
def test_q2_says_what_is_not_right(outcome, changes, because):
    state, text = outcome(2, changed(LETTERS, *changes))
    assert state == "wrong"
    assert because in text


# Question 3


def watches(without=(), name="dead-letters-{queue}", **changes):
    """A solution, with something changed."""

    def watch_dead_letters(cloudwatch, dead_letter_queue, topic_arn):
        arguments = {
            "AlarmName": name.format(queue=dead_letter_queue),
            "Namespace": "AWS/SQS",
            "MetricName": "ApproximateNumberOfMessagesVisible",
            "Dimensions": [{"Name": "QueueName", "Value": dead_letter_queue}],
            "Statistic": "Maximum",
            "Period": 60,
            "EvaluationPeriods": 1,
            "ComparisonOperator": "GreaterThanThreshold",
            "Threshold": 0,
            "TreatMissingData": "notBreaching",
            "AlarmActions": [topic_arn],
            "OKActions": [topic_arn],
        } | changes
        cloudwatch.put_metric_alarm(**{key: value for key, value in arguments.items() if key not in without})

    return watch_dead_letters


def a_list_of_metrics(cloudwatch, dead_letter_queue, topic_arn, more=()):
    dimensions = [{"Name": "QueueName", "Value": dead_letter_queue}]
    metric = {"Namespace": "AWS/SQS", "MetricName": "ApproximateNumberOfMessagesVisible", "Dimensions": dimensions}
    watched = {"Metric": metric, "Period": 60, "Stat": "Maximum"}
    metrics = [{"Id": "letters", "MetricStat": watched, "ReturnData": not more}]
    watches(without=["Namespace", "MetricName", "Dimensions", "Statistic", "Period"], Metrics=[*metrics, *more])(
        cloudwatch, dead_letter_queue, topic_arn
    )


def a_list_of_one_metric(cloudwatch, dead_letter_queue, topic_arn):
    a_list_of_metrics(cloudwatch, dead_letter_queue, topic_arn)


def an_expression(cloudwatch, dead_letter_queue, topic_arn):
    expression = {"Id": "half", "Expression": "letters / 2", "ReturnData": True}
    a_list_of_metrics(cloudwatch, dead_letter_queue, topic_arn, [expression])


@pytest.mark.parametrize(
    "answer",
    [
        solved("q3")["watch_dead_letters"],
        watches(Threshold=1, ComparisonOperator="GreaterThanOrEqualToThreshold", Statistic="Sum", Period=300),
        watches(EvaluationPeriods=5, DatapointsToAlarm=1, name="{queue} has letters"),
        a_list_of_one_metric,
    ],
)
def test_q3_takes_any_alarm_that_sounds_at_the_first_dead_letter(outcome, answer):
    assert outcome(3, answer)[0] == "right"


def test_q3_leaves_no_alarm_and_keeps_those_of_others(outcome, exercise):
    import boto3

    cloudwatch = boto3.client("cloudwatch")
    solved("q3")["watch_dead_letters"](cloudwatch, "mine-dlq", "arn:aws:sns:us-east-1:123456789012:mine")
    assert outcome(3, watches())[0] == "right"
    assert [alarm["AlarmName"] for alarm in cloudwatch.describe_alarms()["MetricAlarms"]] == ["dead-letters-mine-dlq"]
    cloudwatch.delete_alarms(AlarmNames=["dead-letters-mine-dlq"])


def url_as_dimension(cloudwatch, dead_letter_queue, topic_arn):
    value = f"https://sqs.us-east-1.amazonaws.com/123456789012/{dead_letter_queue}"
    watches(Dimensions=[{"Name": "QueueName", "Value": value}])(cloudwatch, dead_letter_queue, topic_arn)


@pytest.mark.parametrize(
    ("answer", "because"),
    [
        (lambda cloudwatch, dead_letter_queue, topic_arn: 1, "no alarm was made"),
        (watches(Namespace="SQS"), "the metrics of queues are in 'AWS/SQS'"),
        (watches(MetricName="ApproximateNumberOfMessages"), "the metric in CloudWatch has one word more"),
        (watches(MetricName="NumberOfMessagesSent"), "so it stays at 0"),
        (watches(MetricName="DeadLetters"), "That is not a metric of queues"),
        (watches(without=["Dimensions"]), "it does not say which queue"),
        (an_expression, "it watches an expression of several metrics"),
        (watches(Dimensions=[{"Name": "QueueName", "Value": "orders"}]), "the function was called with 'orders-dlq'"),
        (url_as_dimension, "the function was called with 'orders-dlq'"),
        (watches(name="dead letters"), "a second call, for another queue, replaced the first alarm"),
        (watches(Statistic="SampleCount"), "counts the reports"),
        (watches(Threshold=1), "one dead letter does not make it sound: 1 is not GreaterThanThreshold 1"),
        (watches(ComparisonOperator="GreaterThanOrEqualToThreshold"), "it sounds when there are 0 dead letters"),
        (watches(ComparisonOperator="LessThanThreshold"), "one dead letter does not make it sound"),
        (watches(Period=300, EvaluationPeriods=3), "it takes 15 minutes to sound"),
        (watches(Period=10), "SQS reports once a minute"),
        (watches(without=["TreatMissingData"]), "INSUFFICIENT_DATA instead of OK"),
        (watches(TreatMissingData="breaching"), "although all is well"),
        (watches(TreatMissingData="ignore"), "stays as it was"),
        (watches(without=["AlarmActions"]), "it sounds, and tells nobody"),
        (watches(without=["OKActions"]), "not when it is over"),
        (watches(ActionsEnabled=False), "switched off"),
        (watches(without=["EvaluationPeriods"]), "it has no EvaluationPeriods"),
        (lambda cloudwatch: None, "does not take the arguments"),
    ],
)
def test_q3_says_what_is_not_right(outcome, answer, because):
    state, text = outcome(3, answer)
    assert state == "wrong"
    assert because in text


# Question 4


def costs(polling=5 * 3 * 60 * 24 * 30, sends=lambda messages, calls: messages, a_batch=2, gb=1024, alarms=4, call=0.2,
          time=1, batches=True, of=lambda messages, calls: calls, finish=lambda dollars: dollars):  # fmt: skip
    def dollars_a_month(messages, per_call, seconds, memory_mb):
        calls = messages / per_call if batches else messages
        requests = polling + sends(messages, calls) + a_batch * calls
        lambda_time = time * of(messages, calls) * seconds * memory_mb / gb * 0.0000133334
        return finish(requests * 0.4 / 1e6 + calls * call / 1e6 + lambda_time + alarms * 0.1)

    return dollars_a_month


@pytest.mark.parametrize("answer", [solved("q4")["dollars_a_month"], costs()])
def test_q4_takes_any_way_to_the_right_sum(outcome, answer):
    assert outcome(4, answer)[0] == "right"


@pytest.mark.parametrize(
    ("answer", "because"),
    [
        (costs(polling=0), "The pollers ask day and night"),
        (costs(polling=3 * 60 * 24 * 30), "There are five pollers, not one"),
        (costs(polling=5 * 60 * 24 * 30), "three times a minute, not once"),
        (costs(polling=5 * 3 * 60 * 24), "A month has 30 days"),
        (costs(polling=5 * 3 * 60 * 30), "A day has 24 hours"),
        (costs(polling=5 * 3 * 24 * 30), "An hour has 60 minutes"),
        (costs(sends=lambda messages, calls: 3 * messages, a_batch=0), "is received with one request and deleted with"),
        (costs(of=lambda messages, calls: messages), "for all the messages of its batch together"),
        (costs(alarms=0), "The four alarms are missing"),
        (costs(alarms=1), "four alarms, not one"),
        (costs(a_batch=1), "A batch is received and deleted: two requests"),
        (costs(a_batch=0), "Receiving and deleting are requests, too"),
        (costs(batches=False), "A batch of several messages is one call"),
        (costs(sends=lambda messages, calls: calls), "Django sends each message alone"),
        (costs(call=0), "A call has a price of its own"),
        (costs(time=0), "The time of the function is missing"),
        (costs(gb=1), "The memory is in MB"),
        (costs(gb=1000), "1,024 MB for a GB"),
        (costs(finish=lambda dollars: dollars * 100), "That is in cents"),
        (costs(finish=lambda dollars: round(dollars, 2)), "Do not round"),
        (costs(finish=lambda dollars: dollars / 3), "compare"),
        (costs(finish=lambda dollars: f"${dollars:.2f}"), "it returned a str; a number of dollars"),
        (lambda messages, per_call, seconds, memory_mb: print(1), "it returned None; a number of dollars"),
        (lambda messages: 1.0, "does not take the arguments"),
    ],
)
def test_q4_says_what_is_not_right(outcome, answer, because):
    state, text = outcome(4, answer)
    assert state == "wrong"
    assert because in text


# Question 5

BEGIN, END = "# >>> stack >>>", "# <<< stack <<<"


def fills_line_by_line(env_text, values):
    kept, inside = [], False
    for line in env_text.splitlines(keepends=True):
        if line.startswith(BEGIN):
            inside = True
        elif line.startswith(END):
            inside = False
        elif not inside:
            kept.append(line)
    text = "".join(kept)
    own = {name for name, value in dotenv_values(stream=io.StringIO(text)).items() if value}
    block = [f"{name}={value}" for name, value in values.items() if name not in own]
    if block:
        text += "\n" if text and text[-1] != "\n" else ""
        text += "\n".join([BEGIN, *block, END]) + "\n"
    return text


def fills(
    replaces=True, looks=lambda text: dotenv_values(stream=io.StringIO(text)), breaks=True, empty=False, marks=True
):
    """A solution, with one thing changed."""

    def fill_env(env_text, values):
        text = re.sub(rf"^{BEGIN}\n.*?^{END}\n", "", env_text, flags=re.DOTALL | re.MULTILINE) if replaces else env_text
        own = looks(text)
        lines = [f"{name}={value}\n" for name, value in values.items() if not own.get(name)]
        if not lines and not empty:
            return text
        if breaks and text and not text.endswith("\n"):
            text += "\n"
        return text + (f"{BEGIN}\n{''.join(lines)}{END}\n" if marks else "".join(lines))

    return fill_env


def ends_at_the_mark(env_text, values):
    return fills()(env_text, values).removesuffix("\n")


def leaves_an_empty_line(env_text, values):
    text = re.sub(rf"\n?^{BEGIN}\n.*?^{END}\n", "", env_text, flags=re.DOTALL | re.MULTILINE)
    filled = fills()(text, values)
    return filled.replace(BEGIN, f"\n{BEGIN}") if text else filled


def rewrites_the_file(env_text, values):
    together = {**values, **dotenv_values(stream=io.StringIO(env_text))}
    return f"{BEGIN}\n" + "".join(f"{name}={value}\n" for name, value in together.items()) + f"{END}\n"


def replaces_the_persons_line(env_text, values):
    for name in values:
        env_text = re.sub(rf"^{name}=.*\n", "", env_text, flags=re.MULTILINE)
    return fills()(env_text, values)


def cuts_at_the_mark(env_text, values):
    return fills()(env_text.partition(BEGIN)[0], values)


def strips(env_text, values):
    return fills()(env_text, values).replace("\n\n", "\n")


def splits_at_equals(text):
    return dict(line.strip().partition("=")[::2] for line in text.splitlines())


def names_in(text):
    return {name: name in text for name in ("SQS_QUEUE_URL", "AWS_REGION_NAME")}


@pytest.mark.parametrize("answer", [solved("q5")["fill_env"], fills_line_by_line, fills()])
def test_q5_takes_any_way_to_a_block_of_its_own(outcome, answer):
    assert outcome(5, answer)[0] == "right"


@pytest.mark.parametrize(
    ("answer", "because"),
    [
        (fills(replaces=False), "a file with an earlier block, and a new region"),
        (fills(looks=lambda text: {}), "Django now reads the stack's value: the later line wins"),
        (fills(looks=splits_at_equals), "'export SQS_QUEUE_URL=...'"),
        (fills(looks=names_in), "empty SQS_QUEUE_URL="),
        (fills(breaks=False), "a file whose last line has no line break"),
        (fills(empty=True), "the person's text should be all that is left"),
        (fills(marks=False), "so the next call cannot know which lines are the stack's"),
        (rewrites_the_file, "What a person wrote must stay as it is"),
        (replaces_the_persons_line, "the line 'SQS_QUEUE_URL=https://sqs.example/mine' is not there any more"),
        (cuts_at_the_mark, "a file with a person's line below the block: the line 'DEBUG=true' is not there any more"),
        (strips, "other lines than the block's have changed; there are fewer line breaks between them than before"),
        (ends_at_the_mark, "the last line of the text has no line break: what somebody adds to the file would stand"),
        (leaves_an_empty_line, "there are more line breaks between them than before. What a person wrote must stay"),
        (lambda env_text, values: print(env_text), "it returned None; return the new text"),
        (lambda env_text, values: env_text, "there is no line '# >>> stack >>>'"),
    ],
)
def test_q5_says_what_is_not_right(outcome, answer, because):
    state, text = outcome(5, answer)
    assert state == "wrong"
    assert because in text
