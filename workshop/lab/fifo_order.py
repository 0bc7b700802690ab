"""A repair of moto's FIFO queues, for the process that serves it: what came back of a group is given out first again.

moto forgets the messages of a group that are in flight one by one, while it looks for some to give out, and gives
out the one that it forgot last. So after a failure the later messages came first (seen with 5.2.5: 0, 1, 5, 4, 2, 3).
"""

import time

from moto.sqs.models import SQSBackend


def keep_order() -> None:
    """From now on this process's FIFO queues keep the order of a group, as those of AWS do."""
    receive = SQSBackend.receive_message

    def receive_in_order(self, queue_name, count, wait_seconds_timeout, visibility_timeout, names=None):
        queue = self.get_queue(queue_name)
        if not queue.fifo_queue:
            return receive(self, queue_name, count, wait_seconds_timeout, visibility_timeout, names)
        polling_end = time.monotonic() + wait_seconds_timeout
        while True:
            queue.pending_messages.difference_update(queue.messages)  # what can be seen is not in flight any more
            messages = receive(self, queue_name, count, 0, visibility_timeout, names)
            if messages or time.monotonic() >= polling_end:
                return messages
            time.sleep(0.05)  # seconds

    SQSBackend.receive_message = receive_in_order
