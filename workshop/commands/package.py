"""Make the zip that AWS Lambda runs: lambda_function.py with aiohttp's wheels for Lambda's processor.

Works on every operating system, without Docker. The wheels come from PyPI once and are kept.
"""

HELP = "makes the zip that AWS Lambda runs"


def add_arguments(parser):
    parser.add_argument(
        "--arch",
        choices=["arm64", "x86_64"],
        default="arm64",
        help="the processor that the function will run on (arm64: a fifth cheaper)",
    )


def run(args) -> None:
    from workshop.cloud.packaging import package
    from workshop.folders import HOME

    made = package(args.arch)
    print(f"{made.path.relative_to(HOME)}")
    print(f"  for python3.13 on {args.arch}")
    print(f"  {made.size / 1e6:.1f} MB, unzipped {made.unzipped_size / 1e6:.1f} MB")
    for name in made.contents:
        print(f"  {name}")
