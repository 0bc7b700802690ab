"""The sum of its parts: the same calls, one after the other, where nothing waits for anything else."""

import boto3

from lambda_function import lambda_handler
from workshop.lab.picture import picture_file


def prepared(setting):
    from workshop_django.gallery.models import Image

    file = picture_file(1)
    url = setting.lab.queue_url
    sqs = boto3.client("sqs")

    def run():
        image = Image.objects.create(title="A picture", file=file)
        [message] = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1)["Messages"]
        record = {"messageId": message["MessageId"], "body": message["Body"]}
        assert not lambda_handler({"Records": [record]}, None)["batchItemFailures"]
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        assert image.thumbnails.exists()
        return 1

    return run
