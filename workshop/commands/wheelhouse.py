"""Download everything that an installation needs into a folder, for a stick: the room needs no network then.

Copy the folder to each machine as wheelhouse/ in the checkout or beside it, or leave it on the stick and
start with: python3 -m workshop lab --from FOLDER
"""

from pathlib import Path

HELP = "downloads all packages into a folder, for rooms without a network"


def add_arguments(parser):
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="where to; a folder of an earlier call goes on")
    parser.add_argument(
        "--for",
        dest="targets",
        action="append",
        metavar="SYSTEM-3.N",
        help="a kind of machine, as windows-3.13, macos-3.12 or linux-arm64-3.11; may be given several times "
        "(default: this machine)",
    )


def run(args) -> None:
    import shutil

    from workshop.cloud import packaging
    from workshop.setup import installation, wheelhouse

    try:
        targets = [wheelhouse.Target.named(text) for text in args.targets or [str(wheelhouse.this_machine())]]
    except ValueError as error:
        args.parser.error(str(error))
    try:
        wheelhouse.make(args.folder, targets)
        print("The wheels of the Lambda package", flush=True)
        for architecture in packaging.ARCHITECTURES:
            folder = args.folder / wheelhouse.LAMBDA / architecture
            folder.mkdir(parents=True, exist_ok=True)
            for wheel in packaging.wheels(architecture):
                shutil.copy2(wheel, folder)
    except packaging.PackagingError as error:
        raise SystemExit(str(error)) from None
    except OSError as error:
        raise SystemExit(installation.explain(error)) from None
    size = sum(file.stat().st_size for file in args.folder.rglob("*") if file.is_file()) / 1e6
    print(f"{args.folder} is ready: {size:.0f} MB, for {', '.join(map(str, targets))}.")
