"""Sending to Amazon SQS: at once with SqSManager, or with the transaction that it belongs to by the outbox.

To use it in another project: copy this folder, add it to INSTALLED_APPS, set SQS_QUEUE_URL. README.md says more.
"""

from .manager import SqSManager

__all__ = ["SqSManager"]
