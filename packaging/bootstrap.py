"""Sets Carryon up in .venv and opens it; `--test` runs the tests. Needs a Python 3.11 and nothing else.

    python3 packaging/bootstrap.py
    python3 packaging/bootstrap.py --test

This file keeps to what old Pythons can read, so that they too can say what is missing.
"""

import os
import sys

NEEDED = (3, 11)


def newer_python():
    # type: () -> str
    """A Python on this machine that is new enough, as a command; "" when none is found."""
    folders = os.environ.get("PATH", "").split(os.pathsep)
    names = ["python3.%d" % minor for minor in range(20, NEEDED[1] - 1, -1)]  # noqa: UP031
    there = [name for name in names if any(os.path.exists(os.path.join(one, name)) for one in folders)]  # noqa: PTH110, PTH118
    return there[0] if there else ""


def too_old(found):
    # type: (str) -> str
    """What a person with an old Python reads."""
    text = "Carryon needs Python 3.11 or newer, and this one is %d.%d." % sys.version_info[:2]  # noqa: UP031
    if found:
        return text + "\nA newer one is here: " + found + " packaging/bootstrap.py"
    return text + "\nInstall one (https://www.python.org/downloads) and run this file with it."


def main():
    # type: () -> int
    """Hands over to the real steps, or says that this Python is too old."""
    if sys.version_info < NEEDED:
        sys.stderr.write(too_old(newer_python()) + "\n")
        return 1
    import setup_steps

    return setup_steps.main()


if __name__ == "__main__":
    sys.exit(main())
