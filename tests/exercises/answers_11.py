"""Chapter 11: right answers, and wrong ones by the key of the message that they must get (see test_answers.py)."""

REPORT = "      FunctionResponseTypes: [ReportBatchItemFailures]\n"
ARN = "!Sub arn:${AWS::Partition}:sqs:${AWS::Region}:${AWS::AccountId}:resize"
OTHER_WAY = (
    "!GetAtt DeadLetterQueue.Arn",
    "!Sub arn:${AWS::Partition}:sqs:${AWS::Region}:${AWS::AccountId}:resize-dlq",
) + (f"- {ARN}\n", "- !GetAtt Queue.Arn\n")

q1 = {
    "right": [
        (
            "VisibilityTimeout: 180",
            "VisibilityTimeout: !Ref Hidden",
            "\nResources",
            "\nParameters:\n  Hidden: {Type: Number, Default: 240}\nResources",
        ),
        (
            "[ReportBatchItemFailures]",
            "\n        - ReportBatchItemFailures\n      MaximumBatchingWindowInSeconds: 1",
            "VisibilityTimeout: 180",
            "VisibilityTimeout: 181",
        ),
    ],
    "wrong": {
        "timeout": [
            "as given",
            (": 180", ": 179"),
            ("      VisibilityTimeout: 180\n", ""),
            ("BatchSize: 10", "BatchSize: 10\n      MaximumBatchingWindowInSeconds: 1"),
        ],
        "report": [(REPORT, ""), (REPORT, "", "BatchSize: 10", "BatchSize: 1")],
        "function": [("Timeout: 30", "Timeout: 5", ": 180", ": 30")],
        "refused": [
            ("[ReportBatchItemFailures]", "[ReportBatchItemFailure]"),
            ("FunctionResponseTypes: [ReportBatchItemFailures]", "ReportBatchItemFailures: true"),
            (": 180", ": 180000"),
        ],
        "no template": [
            ("Resources:\n", "Resources\n"),
            ("    Type: AWS::SQS::Queue\n", ""),
            ('template = """', 'template = b"""'),
        ],
        "resources": [
            (
                "AWS::SQS::Queue",
                "AWS::SNS::Topic",
                "      QueueName: resize\n      VisibilityTimeout: 180\n",
                "      TopicName: resize\n",
                "Queue.Arn",
                "Queue.TopicArn",
            )
        ],
    },
}

q2 = {
    "right": [
        (
            ARN,
            '!Join [":", [arn, !Ref AWS::Partition, sqs, !Ref AWS::Region, !Ref AWS::AccountId, resize]]',
        ),
        (
            ARN,
            "!Sub arn:${AWS::Partition}:sqs:${AWS::Region}:${AWS::AccountId}:${Name}",
            "QueueName: resize\n",
            "QueueName: !Ref Name\n",
            "\nResources",
            "\nParameters:\n  Name: {Type: String, Default: resize}\nResources",
            "!GetAtt DeadLetterQueue.Arn",
            "!Sub ${DeadLetterQueue.Arn}",
        ),
    ],
    "wrong": {
        "circle": ["as given", (ARN, "!GetAtt Queue.Arn"), (ARN, ARN.replace(":resize", ":${Queue.QueueName}"))],
        "order": [OTHER_WAY],
        "days": [("      MessageRetentionPeriod: 1209600\n", ""), ("1209600", "864000")],
        "ARN": [
            (ARN, "arn:aws:sqs:us-east-1:123456789012:resize"),
            ("${AWS::Partition}", "aws"),
            ("${AWS::AccountId}:resize", "${AWS::AccountId}:resize-dlq"),
            ("${AWS::Region}", "us-east-1"),
        ],
        "tries": [("maxReceiveCount: 5", "maxReceiveCount: 3")],
        "allowed": [("byQueue", "allowAll", f"        sourceQueueArns:\n          - {ARN}\n", "")],
        "queues": [("QueueName: resize\n", "QueueName: resized\n")],
    },
}

q3 = {
    "right": [
        ('"Maximum"', '"Sum"', "Threshold=0", "Threshold=1", "GreaterThanThreshold", "GreaterThanOrEqualToThreshold"),
        ('"Maximum"', '"Average"', "Period=60", "Period=300"),
        (
            "EvaluationPeriods=1",
            "EvaluationPeriods=5,\n        DatapointsToAlarm=1",
            'f"dead-letters-{dead_letter_queue}"',
            "dead_letter_queue",
        ),
        ('"Maximum"', '"Minimum"', "EvaluationPeriods=1", "EvaluationPeriods=3"),
    ],
    "wrong": {
        "late": [
            "as given",
            ('"Maximum"', '"Minimum"', "Period=60", "Period=300"),
            ("EvaluationPeriods=1", "EvaluationPeriods=5"),
            ("Threshold=0", "Threshold=1"),
            ('"Maximum"', '"Average"', "Period=60", "Period=300", "Threshold=0", "Threshold=0.9"),
        ],
        "always": [("GreaterThanThreshold", "GreaterThanOrEqualToThreshold"), ('"Maximum"', '"SampleCount"')],
        "quiet": [
            ('"notBreaching"', '"breaching"'),
            ('        TreatMissingData="notBreaching",\n', ""),
            ('"notBreaching"', '"ignore"'),
        ],
        "told": [
            ("        OKActions=[topic_arn],\n", ""),
            ("        AlarmActions=[topic_arn],\n", ""),
            ("OKActions=[topic_arn]", 'OKActions=["arn:aws:sns:us-east-1:123456789012:else"]'),
        ],
        "queues": [
            ('f"dead-letters-{dead_letter_queue}"', '"dead-letters"'),
            ('"Value": dead_letter_queue', '"Value": "orders-dlq"'),
        ],
        "metric": [("ApproximateNumberOfMessagesVisible", "NumberOfMessagesSent")],
        "period": [("Period=60", "Period=30")],
    },
}

q4 = {
    "right": [
        """
def dollars_a_month(messages, per_call, seconds, memory_mb):
    polls = 648_000
    per_batch = (2 * 0.40 + 0.20) / 1_000_000 + seconds * memory_mb / 1024 * 0.0000133334
    return (polls + messages) / 2_500_000 + messages / per_call * per_batch + 0.4
""",
        """
def dollars_a_month(messages, per_call, seconds, memory_mb):
    from fractions import Fraction as F

    calls = F(messages, per_call)
    requests = 5 * 3 * 60 * 24 * 30 + messages + calls + calls
    return float(requests * F("0.4") / 10**6 + calls * F("0.2") / 10**6 + F(4, 10)) + (
        float(calls) * seconds * memory_mb / 2**10 * 0.0000133334
    )
""",
    ],
    "wrong": {
        "no message": [
            "as given",
            ("5 * 3 * 60 * 24 * 30 + ", ""),
            ("5 * 3 *", "3 *"),
            ("4 * 0.10", "0.10"),
            ("    return requests * 0.40", "    return requests * 40"),
        ],
        "traffic": [
            ("/ 1024", ""),
            ("/ 1024", "/ 1000"),
            ("calls = messages / per_call", "calls = messages"),
            ("2 * calls", "calls"),
            (" + calls * 0.20 / 1e6", ""),
        ],
        "raised": [("messages / per_call", "messages[per_call]")],
    },
}
