"""The project's own Python environment: how it is made, what pip puts into it, and what pip's errors mean."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from narration import Ended, SetupFailed, run_shown
from system_packages import VENV, how_to_install, packager

SILENT_NETWORK = re.compile(
    r"NewConnectionError|ConnectTimeoutError|ReadTimeoutError|ProxyError|NameResolutionError|Max retries exceeded|"
    r"Temporary failure in name resolution|Network is unreachable|Connection refused|[Tt]imed out")
COMPILERS_ERROR = re.compile(r"^\S+:\d+(?::\d+)?: (?:fatal )?error: |^CMake Error|^nvcc fatal")
NOT_OFFERED = re.compile(r"No matching distribution found for (\S+)")
NO_SPACE = re.compile(r"No space left on device")


class VirtualEnv:
    """`.venv` of a checkout; every step writes its output to `log`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def log(self) -> Path:
        """The whole output of the steps, for whoever looks for a reason."""
        return self.folder / "setup.log"

    @property
    def python(self) -> Path:
        return self.program("python")

    def program(self, name: str) -> Path:
        """A program that pip installed."""
        if sys.platform == "win32":
            return self.folder / "Scripts" / f"{name}.exe"
        return self.folder / "bin" / name

    @property
    def is_usable(self) -> bool:
        """Whether its Python starts and has pip: a system upgrade can take the Python away below it."""
        if not self.python.exists():
            return False
        try:
            return subprocess.run([self.python, "-c", "import pip"], capture_output=True, check=False).returncode == 0
        except OSError:
            return False

    def create(self) -> None:
        """Makes it anew. Raises SetupFailed with the package that brings what is missing."""
        self.folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "venv", "--clear", str(self.folder)]
        made = subprocess.run(command, capture_output=True, text=True, check=False)
        if made.returncode != 0:
            raise _no_venv(made.stdout + made.stderr)

    def packages_folder(self) -> Path:
        """Where pip puts libraries."""
        ask = "import sysconfig; print(sysconfig.get_path('platlib'))"
        return Path(subprocess.run([self.python, "-c", ask], capture_output=True, text=True, check=True).stdout.strip())

    def try_pip(self, title: str, *arguments: str | Path, environment: Mapping[str, str] = os.environ) -> Ended:
        """Runs pip and shows that it is working."""
        command: Sequence[str | Path] = [self.python, "-m", "pip", *arguments]
        quiet = {"PIP_PROGRESS_BAR": "off", "PIP_NO_INPUT": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        return run_shown(title, command, log=self.log, environment={**environment, **quiet})

    def pip(self, title: str, *arguments: str | Path, environment: Mapping[str, str] = os.environ) -> None:
        """Runs pip. Raises SetupFailed with what its errors mean."""
        ended = self.try_pip(title, *arguments, environment=environment)
        if not ended.is_good:
            raise pip_failure(ended, self.log)


def _no_venv(told: str) -> SetupFailed:
    if "ensurepip" in told:
        return SetupFailed("This Python cannot make virtual environments: a part of it is not installed.",
                           f"{how_to_install([VENV], packager())}\nThen run this again.")
    return SetupFailed(f"The virtual environment could not be made: {reason(told.splitlines())}",
                       "Check that this folder is yours to write to.")


def pip_failure(ended: Ended, log: Path) -> SetupFailed:
    """What a failed pip means to a person."""
    told = "\n".join(ended.lines)
    if NO_SPACE.search(told):
        return SetupFailed("The disk is full.", "Free some gigabytes and run this again.")
    if SILENT_NETWORK.search(told):
        return SetupFailed("The package index cannot be reached.",
                           "Check the network, or name an index that answers (PIP_INDEX_URL=https://...), and run this "
                           f"again; what was done is kept.\nThe whole output is in {log}.")
    if found := NOT_OFFERED.search(told):
        return SetupFailed(f"The package index has no {found[1]} for this system, or cannot be reached.",
                           "Check the network and the index that pip uses (PIP_INDEX_URL), and run this again.\n"
                           f"The whole output is in {log}.")
    return SetupFailed(f"pip could not install what Carryon needs: {reason(ended.lines)}",
                       f"The whole output is in {log}.")


def reason(lines: Sequence[str]) -> str:
    """The line that says best why a child failed: the compiler's first error, else pip's last, else the last one."""
    said = [line.strip() for line in lines if line.strip()]
    if compilers := [line for line in said if COMPILERS_ERROR.search(line)]:
        return compilers[0]
    errors = [line for line in said if line.startswith("ERROR: ")]
    return (errors or said or ["it said nothing"])[-1].removeprefix("ERROR: ")
