"""The one entry: no argument opens the window, a word runs a command."""

import sys


def main(arguments: list[str] | None = None) -> int:
    """Runs the app and returns its exit code. Qt is imported only when a window is wanted."""
    words = sys.argv[1:] if arguments is None else arguments
    if not words or words[0].lower().endswith(".gguf"):
        from carryon.ui.application import start

        return start(words)
    from carryon.cli.main import run

    return run(words)


if __name__ == "__main__":
    sys.exit(main())
