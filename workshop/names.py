"""What the parts of the pipeline are called, on this machine and on AWS: the source guide's names.

And what a learner types. Standard library only.
"""

import os

PROGRAM = "py -m workshop" if os.name == "nt" else "python3 -m workshop"

QUEUE_NAME = "image-processing-sync"
DEAD_LETTER_QUEUE_NAME = f"{QUEUE_NAME}-dlq"
FUNCTION_NAME = "func_sqs_sync"
STACK_NAME = "image-processing-sync"
RECEIVER_PATH = "/api/v1/image-processing-sync"

ACCOUNT_ID = "123456789012"  # of the local AWS: moto's default, and the account in the source guide's queue URL
REGION = "us-east-1"
