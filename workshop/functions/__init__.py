"""Calling a handler as Lambda does: `invoke`, the event source mapping, AWS's own runtime client."""

from workshop import lazy

__getattr__ = lazy.names(
    __name__,
    EventSourceMapping="event_source_mapping",
    FunctionLogs="function_logs",
    Invocation="invocation",
    invoke="invocation",
    packaged_function="lambda_runtime",
    recent_log="invocation",
)
