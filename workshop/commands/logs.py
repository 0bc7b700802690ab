"""Show what the function logged, as `aws logs tail` does: in a lab or deploy that runs, or with --aws on AWS."""

from workshop.names import FUNCTION_NAME

HELP = "shows what the function logged"


def add_arguments(parser):
    parser.add_argument("--follow", action="store_true", help="stay and show each new line; Ctrl-C ends it")
    parser.add_argument("--since", metavar="MINUTES", type=float, default=10, help="how far back (default: 10)")
    parser.add_argument("--function-name", metavar="NAME", default=FUNCTION_NAME)
    parser.add_argument("--aws", action="store_true", help="read from your own AWS account")


def run(args) -> None:
    import sys
    import time

    from workshop.cloud import choices
    from workshop.cloud.aws_account import running_local_aws, use_local, use_real
    from workshop.cloud.logs import follow, has_group, read_logs

    group = f"/aws/lambda/{args.function_name}"
    since = time.time() - args.since * 60
    chosen = choices.load()
    if args.aws:
        account = use_real(chosen)
    else:
        addresses = [chosen.endpoint_url] if chosen.endpoint_url else running_local_aws()
        if not addresses:
            raise SystemExit(
                "No local AWS is running, so there are no logs. Open a chapter, or run: "
                "python3 -m workshop deploy. For your own account add --aws."
            )
        # The newest that has logs; the last resort is the newest.
        account = next(
            (account for account in map(use_local, addresses) if has_group(account, group)), None
        ) or use_local(addresses[0])
    print(f"{group} in {account}", file=sys.stderr)
    for line in follow(account, group, since=since) if args.follow else read_logs(account, group, since=since):
        print(line, flush=True)
