"""Measure how fast the parts are on this machine, each against what one could use instead.

Each benchmark runs its contenders in turn (A B A B ...), after a warm-up, and shows for each of them the median of
its rounds, their spread, and its speed against the kit's: 2.00 is twice as fast. The contenders are in benchmarks/.
All of them take about four minutes. Close what else is at work meanwhile.

The table, with the machine's name, is kept as JSON and as a chart (PNG) in .workshop/benchmarks.
"""

HELP = "measures how fast the parts are, each against what else one could use"


def add_arguments(parser):
    parser.add_argument("names", nargs="*", metavar="NAME", help="which benchmarks (default: all)")
    parser.add_argument("--tiny", action="store_true", help="only show that they run: the figures mean nothing")


def run(args) -> int:
    from benchmarks import NAMES

    if unknown := [name for name in args.names if name not in NAMES]:
        args.parser.error(f"there is no benchmark {unknown[0]!r}. There are: {', '.join(NAMES)}.")
    from benchmarks.report import measure_and_show

    return measure_and_show(args.names or NAMES, tiny=args.tiny)
