"""`carryon machine`: what this machine has for running models, as a report for people or as JSON."""

import argparse
from collections.abc import Callable

from carryon.hardware.codec import encode_machine
from carryon.hardware.machine import Machine
from carryon.hardware.probe import probe
from carryon.hardware.report import report

_DESCRIPTION = """\
Shows what this machine has for running models: processor, memory, graphics cards,
and which of them the installed engine can really use. What is wrong (a graphics
driver that does not work, for example) stands at the end, with the next step.
Nothing is changed and nothing is sent anywhere.
"""
_EXAMPLES = """\
examples:
  carryon machine                       the report
  carryon machine --json                the same as JSON, sizes in bytes, unknown is null
  carryon machine --json > report.json  to attach to a bug report
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Registers the command."""
    parser = subparsers.add_parser(
        "machine",
        help="show processor, memory, graphics cards and what the engine can use",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, ask: Callable[[], Machine] = probe) -> int:
    """Prints the report; what is wrong with the machine is part of the report, so the exit code is 0."""
    machine = ask()
    print(encode_machine(machine) if arguments.json else report(machine))
    return 0
