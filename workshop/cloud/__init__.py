"""Which AWS is used; packaging the function, deploying the pipeline, reading its logs."""

import importlib

_PUBLIC = {
    "AwsError": "aws_account",
    "DeploymentError": "deployment",
    "WHAT_IT_COSTS": "deployment",
    "deploy": "deployment",
    "destroy": "deployment",
    "identify": "aws_account",
    "lambda_requirements": "packaging",
    "package_installed": "packaging",
    "read_logs": "logs",
    "use_real": "aws_account",
    "waiting_messages": "deployment",
}


def __getattr__(name):
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_PUBLIC[name]}", __name__), name)
