"""What a message costs on the local AWS while others wait: sent, received and deleted, in tens."""

from contextlib import contextmanager
from types import SimpleNamespace

UNIT = "ms"
CASES = {"10 waiting": 4, "100 waiting": 4, "1,000 waiting": 6}
CONTENDERS = ["kit", "moto"]


@contextmanager
def opened(case, tiny):
    with_waiting = int(case.split()[0].replace(",", "")) // (10 if tiny else 1)
    stops = []
    try:
        yield SimpleNamespace(waiting=with_waiting, stops=stops)
    finally:
        for stop in stops:
            stop()


def once(contender, setting):
    import boto3

    from workshop.cloud import aws_environment

    endpoint_url, stop = contender.served()
    setting.stops.append(stop)
    keys = aws_environment.local(endpoint_url)
    sqs = boto3.client(
        "sqs",
        endpoint_url=endpoint_url,
        region_name=keys["AWS_DEFAULT_REGION"],
        aws_access_key_id=keys["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
    )
    url = sqs.create_queue(QueueName="q")["QueueUrl"]
    ten = [{"Id": str(number), "MessageBody": '{"data": {"image_id": 1}}'} for number in range(10)]
    for _ in range(max(1, setting.waiting // 10)):
        sqs.send_message_batch(QueueUrl=url, Entries=ten)

    def send_receive_delete():
        sqs.send_message_batch(QueueUrl=url, Entries=ten)
        received = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
        entries = [{"Id": str(n), "ReceiptHandle": message["ReceiptHandle"]} for n, message in enumerate(received)]
        sqs.delete_message_batch(QueueUrl=url, Entries=entries)
        return len(received)

    return send_receive_delete
