"""The event source mapping and the handler in a process of their own: python -m workshop.faults.mapping QUEUE_URL"""

import sys
import threading

from lambda_function import lambda_handler
from workshop.functions.event_source_mapping import EventSourceMapping

if __name__ == "__main__":
    with EventSourceMapping(sys.argv[1], lambda_handler):
        threading.Event().wait()
