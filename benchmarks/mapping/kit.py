"""The mapping that this workshop ships: AWS's rules, a time limit and a log for each invocation."""

from workshop import EventSourceMapping


def prepared(queue_url, handler, pollers):
    return EventSourceMapping(queue_url, handler, maximum_concurrency=pollers).run_until_empty
