"""Bring the pipeline up from infra/template.yaml: queue, dead-letter queue, function, role, logs and alarms.

Without --aws it works on a local AWS: the server that AWS_ENDPOINT_URL names, or one that this command
starts, runs the function on, and keeps until Ctrl-C. With --aws it works on your own account, after showing
which one it is, what will be created and what that costs, and after a yes from you.
"""

from workshop.folders import ENV_FILE
from workshop.names import FUNCTION_NAME, QUEUE_NAME, STACK_NAME

LOOK_EVERY = 0.5  # seconds between two looks whether the stack is still there

HELP = "brings the pipeline up, locally or with --aws on your account"


def add_arguments(parser):
    parser.add_argument("--aws", action="store_true", help="work on your own AWS account")
    parser.add_argument(
        "--endpoint-allowlist",
        metavar="HOSTS",
        help="hosts that the function may post to, such as '*.ngrok-free.dev,django.example.com' "
        "(default: ENDPOINT_ALLOWLIST; without --aws: this machine)",
    )
    parser.add_argument("--arch", choices=["arm64", "x86_64"], help="the function's processor (default: arm64)")
    parser.add_argument("--alarm-email", metavar="ADDRESS", help="mail alarms to this address")
    parser.add_argument("--maximum-concurrency", metavar="N", help="copies of the function at once, 2 to 1000")
    parser.add_argument("--stack-name", metavar="NAME", default=STACK_NAME)
    parser.add_argument("--queue-name", metavar="NAME", default=QUEUE_NAME)
    parser.add_argument("--function-name", metavar="NAME", default=FUNCTION_NAME)


def run(args) -> None:
    if args.aws:
        _deploy_to_aws(args)
    else:
        _deploy_locally(args)


def _deploy_to_aws(args) -> None:
    from workshop.cloud import choices
    from workshop.cloud.aws_account import use_real
    from workshop.cloud.deployment import WHAT_IT_COSTS, deploy, require_allowlist
    from workshop.cloud.packaging import package

    chosen = choices.load()
    account = use_real(chosen)
    allowlist = _allowlist(args, chosen)
    require_allowlist(allowlist)
    made = package(args.arch or "arm64")
    print(f"This works on {account}.")
    print(f"Stack {args.stack_name} will have:")
    print(f"  the queues {args.queue_name} and {args.queue_name}-dlq")
    print(f"  the function {args.function_name} (python3.13, {made.architecture}, {made.size / 1e6:.1f} MB)")
    print(f"    which may post to {allowlist}, with its role, event source mapping and log group")
    print("  four alarms" + (f", mailed to {args.alarm_email}" if args.alarm_email else ", mailed to nobody"))
    print("and, beside it, a bucket with the function's zip.")
    print(WHAT_IT_COSTS)
    confirm("Create or update it? Type yes: ")
    deploy(
        account,
        made,
        endpoint_allowlist=allowlist,
        stack_name=args.stack_name,
        parameters=_parameters(args),
        env_file=ENV_FILE,
    )
    print(f"Django's IAM user needs infra/sender-policy.json, for account {account.id} and {account.region}.")
    print(f"Watch what the function logs with: aws logs tail /aws/lambda/{args.function_name} --follow")
    print(f"Take it all down again with: python3 -m workshop destroy --aws --stack-name {args.stack_name}")


def confirm(question: str) -> None:
    """Go on only after a typed yes."""
    try:
        answer = input(question)
    except EOFError:
        answer = ""
    if answer.strip().lower() != "yes":
        raise SystemExit("Nothing was changed: the answer was not yes.")


def _deploy_locally(args) -> None:
    from workshop.cloud import choices
    from workshop.cloud.aws_account import running_local_aws, use_local
    from workshop.cloud.deployment import has_stack

    chosen = choices.load()
    if chosen.endpoint_url:
        _deploy_at(use_local(chosen.endpoint_url), args, chosen)
        return
    for endpoint_url in running_local_aws():
        account = use_local(endpoint_url)
        if has_stack(account, args.stack_name):
            _deploy_at(account, args, chosen)
            return
    _keep_local_aws(args, chosen)


def _deploy_at(account, args, chosen):
    """Returns the zip that was deployed, and the Deployment."""
    from workshop.cloud.deployment import deploy
    from workshop.cloud.packaging import package, package_installed

    print(f"This works on {account}.")
    made = package(args.arch) if args.arch else package_installed()
    deployment = deploy(
        account,
        made,
        endpoint_allowlist=_allowlist(args, chosen, default="127.0.0.1,localhost"),
        stack_name=args.stack_name,
        parameters=_parameters(args),
        env_file=ENV_FILE,
        poll_interval=0.2,
    )
    return made, deployment


def _keep_local_aws(args, chosen) -> None:
    """Start a local AWS, deploy to it, and be its Lambda until Ctrl-C."""
    import logging
    import shutil
    import time

    from workshop.cloud.aws_account import use_local
    from workshop.cloud.deployment import destroy, has_stack
    from workshop.cloud.terminal import DJANGO_FOLDER, for_a_deployment
    from workshop.functions.event_source_mapping import EventSourceMapping
    from workshop.functions.function_logs import FunctionLogs
    from workshop.functions.lambda_runtime import packaged_function
    from workshop.lab.local_aws import LocalAws
    from workshop.run_folders import run_folder

    # When `destroy` takes the queue away, that is said below, not by whoever asks the queue for messages.
    logging.getLogger("workshop.functions.event_source_mapping").addFilter(
        lambda record: "NonExistentQueue" not in record.getMessage()
    )
    shutil.rmtree(DJANGO_FOLDER, ignore_errors=True)  # as new as the queue: the first image is image 1
    DJANGO_FOLDER.mkdir(parents=True)
    aws = LocalAws(run_folder())
    aws.start()
    account = use_local(aws.endpoint_url)
    try:
        made, deployment = _deploy_at(account, args, chosen)
        queue_url = deployment.outputs["QueueUrl"]
        allowlist = _allowlist(args, chosen, default="127.0.0.1,localhost")
        with (
            packaged_function(
                made.path, environment={"ENDPOINT_ALLOWLIST": allowlist}, function_name=args.function_name
            ) as function,
            FunctionLogs(args.function_name),
            EventSourceMapping(queue_url, function),
        ):
            print()
            print(for_a_deployment(aws.endpoint_url, queue_url, args.function_name, chosen.values))
            print("\nCtrl-C stops it; what is in it is gone then.", flush=True)
            while has_stack(account, args.stack_name):
                time.sleep(LOOK_EVERY)
        print(f"\nThe stack {args.stack_name} is gone: `destroy` has taken it down. So this ends, too.")
    finally:
        destroy(account, stack_name=args.stack_name, env_file=ENV_FILE, say=lambda text: None)
        aws.stop()


def _allowlist(args, chosen, default: str = "") -> str:
    return args.endpoint_allowlist or chosen.values.get("ENDPOINT_ALLOWLIST", "").strip() or default


def _parameters(args) -> dict[str, str]:
    values = {
        "QueueName": args.queue_name,
        "FunctionName": args.function_name,
        "AlarmEmail": args.alarm_email,
        "MaximumConcurrency": args.maximum_concurrency,
    }
    return {name: value for name, value in values.items() if value}
