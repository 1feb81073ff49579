"""nptransport beside what one would take instead, doing the same work, in turn within one run.

    python -m pip install -r benchmarks/peers/requirements.txt     # as much of it as is wanted
    python benchmarks/peers [--sizes 64KB,1MB,6.2MB,128MB] [--seconds 1] [--rounds 3] [--only NAME ...]
                            [--read] [--markdown] [--json FILE]

In each turn one process sends int64 arrays of one size to another for so many seconds, as fast as that will take them.
The sender stamps each with its number; the receiver checks dtype, shape, number and three elements of each, and every
element of the last (of each with --read). Rates are taken at the receiver after the first fifth of the time and eight
arrays. In a round each contestant has one turn a size. A contestant that fails, or delivers something else, is said to,
and the others go on. Exit status: 1 if all failed.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

# Python put this folder in front, where the contestants' names would hide libraries; and what lies beside it, too.
sys.path[0] = str(Path(__file__).resolve().parents[2])
sys.path.append(str(Path(__file__).resolve().parents[1]))

from arguments import Parser, count, positive, status_of, writable  # noqa: E402 - below what makes it possible

from peers.contestants import load  # noqa: E402
from peers.table import Figures, machine, size_text, sizes_of  # noqa: E402
from peers.turn import Failed, turn  # noqa: E402
from peers.work import Work  # noqa: E402


def sizes(text: str) -> list[int]:
    try:
        return sizes_of(text)
    except (OverflowError, ValueError):
        raise argparse.ArgumentTypeError(f"bytes, as in 64KB,6.2MB, are needed, not {text!r}") from None


def the_parser() -> Parser:
    parser = Parser(__doc__)
    parser.add_argument("--sizes", type=sizes, default=sizes_of("64KB,1MB,6.2MB,128MB"), help="decimal units")
    parser.add_argument("--seconds", type=positive, default=1.0, help="of each turn")
    parser.add_argument("--rounds", type=count, default=3)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="what the contestants' names begin with")
    parser.add_argument("--read", action="store_true", help="read every element of every array; fill loans whole")
    parser.add_argument("--markdown", action="store_true", help="the table for a document")
    parser.add_argument("--json", type=writable, metavar="FILE", help="also write all rates to this file")
    parser.add_argument("--list", action="store_true", help="the contestants, and how each is used")
    return parser


def main() -> int:
    parser = the_parser()
    options = parser.parse_args()
    peers, missing = load()
    for name in options.only or []:
        if not any(peer.name.startswith(name) for peer in peers):
            parser.error(f"--only {name}: there are {'; '.join(peer.name for peer in peers)}")
    for sentence in missing:
        print(sentence, file=sys.stderr)
    if options.only:
        peers = [peer for peer in peers if any(peer.name.startswith(name) for name in options.only)]
    if options.list:
        for peer in peers:
            print(f"{peer.name}: {peer.way}")
        return 0
    figures = Figures(options.sizes, [peer.name for peer in peers])
    for number in range(options.rounds):
        for size in options.sizes:
            work = Work(size, options.seconds, options.read)
            for peer in peers:
                if (peer.name, size) in figures.failures:
                    continue
                begin = f"round {number + 1} of {options.rounds}, {size_text(size)}, {peer.name}:"
                try:
                    rate = turn(peer, work)
                except Failed as failure:
                    figures.failures[peer.name, size] = str(failure)
                    print(begin, failure, file=sys.stderr, flush=True)
                else:
                    figures.add(peer.name, size, rate)
                    print(f"{begin} {rate:,.0f}/s, {rate * work.nbytes / 1e9:.2f} GB/s", file=sys.stderr, flush=True)
    print(figures.markdown() if options.markdown else figures.text())
    for (name, size), why in figures.failures.items():
        print(f"failed: {name}, {size_text(size)}: {why}")
    here = machine()
    versions = ", ".join(f"{name} {version}" for name, version in here["libraries"].items())
    print(f"\n{here['processor']}, {here['cores']} cores, {here['system']}, Python {here['python']}, {versions}")
    if options.json:
        options.json.write_text(json.dumps(figures.as_json(), indent=1))
    return 0 if figures.rates else 1


if __name__ == "__main__":
    sys.exit(status_of(main))
