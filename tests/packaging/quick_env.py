"""A fake environment that keeps pip's words and is quick: it unzips wheels itself and starts no pip."""

import os
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from urllib.request import urlopen

from wheel_yard import engine_files, wheel

from narration import Ended
from virtual_env import VirtualEnv


class QuickEnv(VirtualEnv):
    """Answers `download`, `wheel` and `install` as pip does, and keeps the CMake flags of every build."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.built_with: list[str] = []
        self.build_output = ("Successfully built llama-cpp-python",)
        self.site = folder / "site-packages"
        self.site.mkdir(parents=True)
        self._python = folder / "python"
        self._python.write_text(f'#!/bin/sh\nPYTHONPATH="{self.site}" exec "{sys.executable}" "$@"\n')
        self._python.chmod(0o755)

    @property
    def python(self) -> Path:
        return self._python

    def packages_folder(self) -> Path:
        return self.site

    def try_pip(self, title: str, *arguments: str | Path, environment: Mapping[str, str] = os.environ) -> Ended:
        words = [str(one) for one in arguments]
        if words[0] == "download":
            return self._download(Path(words[words.index("--dest") + 1]), words[-1])
        if words[0] == "wheel":
            return self._build(Path(words[words.index("--wheel-dir") + 1]), environment["CMAKE_ARGS"])
        for word in words[1:]:
            if word.endswith(".whl"):
                zipfile.ZipFile(word).extractall(self.site)
        return Ended(0, ())

    def _download(self, folder: Path, link: str) -> Ended:
        with urlopen(link) as response:
            (folder / link.rsplit("/", 1)[1]).write_bytes(response.read())
        return Ended(0, ())

    def _build(self, folder: Path, flags: str) -> Ended:
        self.built_with.append(flags)
        if not self.build_output[-1].startswith("Successfully"):
            return Ended(1, self.build_output)
        wheel(folder, "llama-cpp-python", "0.3.36", engine_files(has_rpc=True, flags=flags))
        return Ended(0, self.build_output)
