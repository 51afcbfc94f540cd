"""A queue of downloads with all that it needs, on a Hub of this machine: what a window is to it, without a window."""

import time
from dataclasses import replace

from fakes.fakehub import Blob
from fakes.main_thread import MainThread

from carryon.app.download_list import DownloadWish
from carryon.app.downloads import Downloads
from carryon.app.hub_access import HubAccess
from carryon.base.jobs import Runner
from carryon.base.settings import SettingsFile
from carryon.hub.repo import RepoFile

MIB = 1 << 20


class Desk:
    """One start of the app on a home; `end` as the window ends, and another Desk is the next start."""

    def __init__(self, home, hub, **changed):
        self.home, self.hub, self.main = home, hub, MainThread()
        self.settings = SettingsFile(home.settings)
        self.change(hub_mirror=hub.url, **changed)
        self.runner = Runner(self.main.post)
        self.downloads = Downloads(home, self.settings, self.runner, HubAccess(home, self.settings, {}, lambda: None))
        self.lists, self.times_s = [], []
        self.downloads.listen(self._heard)
        self.downloads.begin()

    def change(self, **changed):
        self.settings.change(lambda now: replace(now, **changed))

    def end(self):
        self.runner.end()
        self.downloads.end()

    def one(self, id):
        return next((one for one in self.downloads.now if one.id == id), None)

    def state(self, id):
        return type(self.one(id).state).__name__

    def until(self, id, *states, wait_s=20):
        self.main.run_until(lambda: self.state(id) in states, wait_s)
        return self.one(id)

    def until_here(self, id, n_bytes):
        self.main.run_until(lambda: self.one(id).done_bytes >= n_bytes)

    def _heard(self, downloads):
        self.lists.append(downloads)
        self.times_s.append(time.monotonic())


def wish_of(hub, home, name, *paths, repo_id="acme/tiny-GGUF"):
    """These files of a repository of the fake Hub, into the models of the home."""
    repo = hub.repos[repo_id]
    blobs = repo.commits[repo.refs["main"]]
    files = tuple(RepoFile(path, blobs[path].size, blobs[path].sha256 if blobs[path].lfs else None) for path in paths)
    return DownloadWish(repo_id, repo.refs["main"], name, files, home.models / repo_id, "apache-2.0")


def tiny_repo(hub, size_bytes=2 * MIB):
    """A repository of five quants, one of them in two parts, and a projector."""
    names = ("a-Q4_K_M.gguf", "a-Q8_0.gguf", "a-Q6_K.gguf", "a-F16-00001-of-00002.gguf", "a-F16-00002-of-00002.gguf",
             "mmproj-f16.gguf")  # fmt: skip
    files = {name: Blob(size=size_bytes, seed=seed, name=name) for seed, name in enumerate(names)}
    return hub.add_repo("acme/tiny-GGUF", {**files, "README.md": b"# tiny\n"}, downloads=10)


def is_exact(hub, wish):
    """Whether every file of the wish lies in its place, byte for byte."""
    blobs = hub.repos[wish.repo_id].commits[wish.commit]
    return all(wish.target(one).read_bytes() == blobs[one.path].read(0, one.size_bytes) for one in wish.files)


def leftovers(folder):
    """What no download should leave."""
    return sorted(one.name for one in folder.rglob("*") if ".part" in one.name)
