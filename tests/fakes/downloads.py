"""One download from a fake Hub: what is fetched, how it ends, and whether the bytes on the disk are the right ones."""

import hashlib
from dataclasses import replace

from fakes.fakehub import Blob

from carryon.base.jobs import drained
from carryon.hub.fetching.download import Fetch, Patience, downloading, part_file, sidecar_file
from carryon.hub.repo import RepoFile
from carryon.hub.site import Site

MIB = 1 << 20
QUICK = Patience(connect_s=2.0, silence_s=0.5, first_wait_s=0.02, longest_wait_s=0.3, slow_s=0.3, save_s=0.05)


class Trial:
    """A repository with one file on a fake Hub, and a place for it on the disk."""

    def __init__(self, hub, folder, size_bytes=16 * MIB, path="m.gguf", token=None, content=None, **meta):
        self.hub, self.blob = hub, Blob(content, size=size_bytes, seed=7, name=path)
        self.repo = hub.add_repo("acme/tiny-GGUF", {path: self.blob}, **meta)
        site = Site(hub.url, token, trusts_mirror=True)
        sha256 = self.blob.sha256 if self.blob.lfs else None
        file = RepoFile(path, self.blob.size, sha256)
        self.fetch = Fetch(site, "acme/tiny-GGUF", self.repo.refs["main"], file, folder / path)
        self.target = self.fetch.target
        self.news = []

    def work(self, **options):
        """The work, for those who drive it themselves."""
        return downloading(self.fetch, **{"patience": QUICK} | options)

    def run(self, on_news=lambda _: None, **options):
        """Downloads to the end; the news are kept. Raises what the work raises."""
        self.news = []

        def hear(news):
            self.news += [] if news is None else [news]
            on_news(news)

        return drained(self.work(**options), hear)

    def run_until(self, done_bytes, **options):
        """Downloads until at least so much is here, then closes the work, as a pause does."""
        work = self.work(**options)
        for news in work:
            if getattr(news, "done", 0) >= done_bytes:
                break
        work.close()

    def with_file(self, **changes):
        """The same with another idea of the file."""
        self.fetch = replace(self.fetch, file=replace(self.fetch.file, **changes))
        return self

    def told(self, kind):
        """The news of one kind."""
        return [one for one in self.news if isinstance(one, kind)]

    @property
    def is_exact(self):
        """Whether the very file is in its place, and nothing unfinished beside it."""
        with self.target.open("rb") as file:
            is_same = hashlib.file_digest(file, "sha256").hexdigest() == self.blob.sha256
        return is_same and not self.leftovers

    @property
    def leftovers(self):
        """Whatever lies beside the target of an unfinished download."""
        return sorted(one.name for one in self.target.parent.iterdir() if ".part" in one.name)

    @property
    def is_absent(self):
        """Whether nothing has the final name."""
        return not self.target.exists()

    @property
    def is_kept(self):
        """Whether what is here can be gone on with."""
        return self.is_absent and part_file(self.target).exists() and sidecar_file(self.target).exists()

    @property
    def sent_bytes(self):
        """How many bytes of the file left the hub."""
        return self.hub.sent_bytes(r"/cdn/|/resolve/")

    @property
    def sent_twice(self):
        """The share of the file that was sent more than once."""
        return self.sent_bytes / self.blob.size - 1

    @property
    def leaks(self):
        """Requests with a token that no token may see."""
        return [row for row in self.hub.log if row["side"] == "cdn" and row["auth"]]
