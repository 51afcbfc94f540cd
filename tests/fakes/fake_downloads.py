"""A queue of downloads for tests of the window: it is told what the list is, and remembers what it was asked for."""

from pathlib import Path

from carryon.app.download_list import (
    Download,
    DownloadWish,
    FailedDownload,
    Finished,
    Paused,
    Queued,
    Running,
    Verifying,
    WaitingForNetwork,
)
from carryon.base.errors import NoRoom, Offline
from carryon.hub.repo import RepoFile

GB = 1_000_000_000


class FakeDownloads:
    """The queue as the window knows it."""

    def __init__(self, *downloads):
        self.now = downloads
        self.asked = []
        self._listeners = []

    def listen(self, listener):
        self._listeners.append(listener)
        listener(self.now)

    def show(self, *downloads):
        """Now the list is this."""
        self.now = downloads
        for listener in self._listeners:
            listener(downloads)

    def add(self, wish):
        self.asked.append(("add", wish))
        return "new"

    def pause(self, id):
        self.asked.append(("pause", id))

    def resume(self, id):
        self.asked.append(("resume", id))

    def retry(self, id):
        self.asked.append(("retry", id))

    def cancel(self, id, keeps_part):
        self.asked.append(("cancel", id, keeps_part))

    def forget(self, id):
        self.asked.append(("forget", id))

    def forget_finished(self):
        self.asked.append(("forget_finished",))

    def pause_all(self):
        self.asked.append(("pause_all",))

    def resume_all(self):
        self.asked.append(("resume_all",))


def download(id, state, done=0.0, name="Qwen3-8B-GGUF · Q4_K_M", size_gb=4.9, notice="", file="model.gguf"):
    """One line; `done` is the fraction that is here."""
    size_bytes = int(size_gb * GB)
    repo_id = "acme/" + name.split(" ")[0]
    wish = DownloadWish(repo_id, "0" * 40, name, (RepoFile(file, size_bytes),), Path("/models/acme"))
    return Download(id, wish, state, int(size_bytes * done), notice)


def one_of_each():
    """A list that has everything at once."""
    no_room = NoRoom("3.1 GB are missing on the disk that holds /home/ada/models.",
                     "Free some space there, or cancel another download, and try again.")  # fmt: skip
    return (
        download("run", Running(23.4e6, 158.0), 0.25),
        download("verify", Verifying(), 1.0, "Llama-3.2-3B-Instruct-GGUF · Q8_0", 3.4),
        download("wait", WaitingForNetwork(Offline("huggingface.co does not answer."), 12.0), 0.6,
                 "gemma-3-12b-it-GGUF · Q4_K_M", 7.3),
        download("pause", Paused(), 0.43, "Mistral-Small-3.2-24B-Instruct-2506-GGUF · Q5_K_M", 16.8),
        download("queue", Queued(), 0.0, "Phi-4-mini-instruct-GGUF · Q6_K", 3.2),
        download("fail", FailedDownload(no_room), 0.1, "Qwen3-30B-A3B-GGUF · Q4_K_M", 18.6),
        download("done", Finished(), 1.0, "SmolLM3-3B-GGUF · Q4_K_M", 1.9,
                 notice="The file changed on the Hub, so it began again."),
    )  # fmt: skip
