"""Take down what `deploy` brought up: the stack, the function's zip with its bucket, logs, lines in .env.

With --aws it works on your own account, after showing which one and how many messages would be lost.
"""

from workshop.folders import ENV_FILE
from workshop.names import STACK_NAME

HELP = "takes down what deploy brought up"


def add_arguments(parser):
    parser.add_argument("--aws", action="store_true", help="work on your own AWS account")
    parser.add_argument("--stack-name", metavar="NAME", default=STACK_NAME)


def run(args) -> None:
    from workshop.cloud import choices
    from workshop.cloud.aws_account import running_local_aws, use_local, use_real
    from workshop.cloud.deployment import destroy, has_stack, waiting_messages
    from workshop.commands.deploy import confirm

    env_file = ENV_FILE
    chosen = choices.load()
    if args.aws:
        account = use_real(chosen)
        print(f"This works on {account}.")
        waiting = waiting_messages(account, stack_name=args.stack_name)
        print(f"Stack {args.stack_name}, its zip and its logs will be deleted, with {waiting} messages.")
        confirm("Delete them? Type yes: ")
        destroy(account, stack_name=args.stack_name, env_file=env_file)
        print("SQS keeps the name of a deleted queue for 60 seconds: wait that long before you deploy again.")
        return
    addresses = [chosen.endpoint_url] if chosen.endpoint_url else running_local_aws()
    for account in map(use_local, addresses):
        if chosen.endpoint_url or has_stack(account, args.stack_name):
            print(f"This works on {account}.")
            destroy(account, stack_name=args.stack_name, env_file=env_file, poll_interval=0.2)
            return
    print(
        f"No local AWS with a stack {args.stack_name} is running: there is nothing to take down. "
        "For your own account add --aws."
    )
