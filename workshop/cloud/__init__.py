"""Which AWS is used; packaging the function, deploying the pipeline, reading its logs."""

from workshop import lazy

__getattr__ = lazy.names(
    __name__,
    AwsError="aws_account",
    DeploymentError="deployment",
    WHAT_IT_COSTS="deployment",
    deploy="deployment",
    destroy="deployment",
    identify="aws_account",
    lambda_requirements="packaging",
    package_installed="packaging",
    read_logs="logs",
    use_real="aws_account",
    waiting_messages="deployment",
)
