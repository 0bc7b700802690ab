"""Calling a handler as Lambda does: `invoke`, the event source mapping, AWS's own runtime client."""

import importlib

_PUBLIC = {
    "EventSourceMapping": "event_source_mapping",
    "FunctionLogs": "function_logs",
    "Invocation": "invocation",
    "invoke": "invocation",
    "packaged_function": "lambda_runtime",
    "recent_log": "invocation",
}


def __getattr__(name):
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_PUBLIC[name]}", __name__), name)
