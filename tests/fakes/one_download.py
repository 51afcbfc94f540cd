"""A process that downloads one file and nothing else, to be killed: `command(trial)` runs it.

It prints a line for each news, so that its parent can choose the moment, and “done” or “error: …” in the end.
"""

import json
import sys
from dataclasses import asdict
from pathlib import Path

from carryon.base.errors import AppError
from carryon.base.jobs import drained
from carryon.hub.fetching.download import Fetch, Patience, downloading
from carryon.hub.repo import RepoFile
from carryon.hub.site import Site


def command(trial, patience, largest_file_bytes=None):
    """The command line that downloads what the trial would."""
    fetch = trial.fetch
    told = {
        "endpoint": fetch.site.endpoint, "repo_id": fetch.repo_id, "commit": fetch.commit, "target": str(fetch.target),
        "file": asdict(fetch.file), "patience": asdict(patience), "largest_file_bytes": largest_file_bytes,
    }  # fmt: skip
    return (sys.executable, "-P", str(Path(__file__).resolve()), json.dumps(told))


def main():
    told = json.loads(sys.argv[1])
    if told["largest_file_bytes"]:
        _limit(told["largest_file_bytes"])
    file = RepoFile(**told["file"])
    fetch = Fetch(Site(told["endpoint"]), told["repo_id"], told["commit"], file, Path(told["target"]))
    try:
        drained(downloading(fetch, patience=Patience(**told["patience"])), _say)
        print("done", flush=True)
    except AppError as error:
        print(f"error: {type(error).__name__}: {error.message} {error.hint}", flush=True)


def _say(news):
    if news is not None:
        print(news, flush=True)


def _limit(n_bytes):
    """As a disk quota would: writes beyond it fail."""
    import resource
    import signal

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, n_bytes))


if __name__ == "__main__":
    main()
