"""A queue that answers at once: it counts messages and keeps none. `python -m benchmarks.queue_stub PORT`.

It speaks as much of the JSON protocol of Amazon SQS as the contenders need; botocore checks its answers' sums.
"""

import asyncio
import hashlib
import json
import sys

from benchmarks.sink import Http, serve

BODY = json.dumps({"id": "id", "apps": [{"endpoint": "http://127.0.0.1/", "key": "k"}], "data": {"image_id": 1}})
ARN = "arn:aws:sqs:us-east-1:123456789012:image-processing-sync"
waiting = 0


def md5(text):
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


BODY_MD5 = md5(BODY)


def answered(action, request):
    """What SQS would answer, as a dict."""
    global waiting
    if action == "SendMessage":
        waiting += 1
        return {"MessageId": "message-1", "MD5OfMessageBody": md5(request["MessageBody"])}
    if action == "SendMessageBatch":
        waiting += len(request["Entries"])
        entries = [(entry["Id"], md5(entry["MessageBody"])) for entry in request["Entries"]]
        return {
            "Successful": [
                {"Id": name, "MessageId": f"message-{name}", "MD5OfMessageBody": sum} for name, sum in entries
            ]
        }
    if action == "ReceiveMessage":
        count = min(waiting, request.get("MaxNumberOfMessages", 1))
        waiting -= count
        return {
            "Messages": [
                {
                    "MessageId": f"message-{number}",
                    "ReceiptHandle": f"receipt-{number}",
                    "Body": BODY,
                    "MD5OfBody": BODY_MD5,
                    "Attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "1700000000000"},
                }
                for number in range(count)
            ]
        }
    if action == "DeleteMessageBatch":
        return {"Successful": [{"Id": entry["Id"]} for entry in request["Entries"]]}
    if action == "GetQueueAttributes":
        names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "VisibilityTimeout")
        values = dict(zip(names, (str(waiting), "0", "180"), strict=True)) | {"QueueArn": ARN}
        return {"Attributes": {name: values[name] for name in request["AttributeNames"] if name in values}}
    if action in ("CreateQueue", "GetQueueUrl"):
        return {"QueueUrl": f"http://127.0.0.1:{sys.argv[1]}/123456789012/{request['QueueName']}"}
    return {}


class Sqs(Http):
    def answer(self, head, body):
        action = head.split(b"AmazonSQS.", 1)[1].split(b"\r\n", 1)[0].decode()
        text = json.dumps(answered(action, json.loads(body))).encode()
        return (
            b"HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.0\r\nx-amzn-RequestId: 1\r\n"
            b"Content-Length: %d\r\n\r\n" % len(text)
        ) + text


if __name__ == "__main__":
    asyncio.run(serve(Sqs, int(sys.argv[1])))
