"""Takes the pictures of the README: the real window on a virtual screen, with the real engine and the built-in guide.

    python packaging/screenshots.py                  into docs/pictures
    python packaging/screenshots.py FOLDER           somewhere else
    python packaging/screenshots.py --model X.gguf   with another model than the guide

It starts an Xvfb of its own, gives the app a fresh CARRYON_HOME and drives the window as a person would. The guide
answers in a blink, so for "mid-answer" the engine's process runs in small steps until the picture is taken.
"""

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

PICTURES = Path(__file__).resolve().parent.parent / "docs" / "pictures"
WINDOW = (1280, 840)
TALL = (1280, 1290)  # the Fit page with its whole table; the screen is as large
PATIENCE_S = 120.0
FIRST_WORDS = 90  # characters of the answer that are there when the picture is taken
EARLIER = ("Which quant for coding?", "What is the trained context?", "What does the slider do?")
CONVERSATION = ("Which quant is the fastest?", "What does the K mean in Q4_K_M?")
LAST_QUESTION = "What is the KV cache?"
DOWNLOADED_REPO, LIBRARY_MODEL = "HuggingFaceTB/SmolLM2-1.7B-Instruct-GGUF", "Qwen3-8B-Q4_K_M"
WORKSHOP_QUANTS = ("Q3_K_M", "Q4_K_M", "Q5_0", "Q5_K_M", "Q6_K", "Q8_0")
FIT_GPU, FIT_RAM_BYTES = "GeForce RTX 4060", 32 << 30
FIT_MODEL = {
    "name": "Qwen3-8B", "n_layers": 36, "n_embd": 4096, "n_heads": 32, "n_kv_heads": 8, "head_length": 128,
    "n_ff": 12288, "n_vocab": 151936, "n_ctx_train": 40960,
}  # fmt: skip


def main() -> int:
    """Starts the virtual screen and, on it, this same script with --inside."""
    arguments = _arguments()
    if arguments.inside:
        return _inside(arguments)
    if not shutil.which("Xvfb"):
        print("Xvfb is not installed. On Debian and Ubuntu: apt-get install xvfb", file=sys.stderr)
        return 1
    arguments.folder.mkdir(parents=True, exist_ok=True)
    words = [str(arguments.folder), "--inside", *(["--model", str(arguments.model)] if arguments.model else [])]
    with _virtual_screen() as display, tempfile.TemporaryDirectory() as folder, _models_and_hub(folder) as address:
        environment = {
            **os.environ, "DISPLAY": display, "QT_QPA_PLATFORM": "xcb", "CARRYON_HOME": f"{folder}/home",
            "HOME": f"{folder}/person", "HF_ENDPOINT": address,
        }  # fmt: skip
        return subprocess.run([sys.executable, __file__, *words], env=environment, check=False).returncode


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=PICTURES, help="where the pictures go")
    parser.add_argument("--model", type=Path, help="a GGUF file instead of the built-in guide")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


@contextlib.contextmanager
def _virtual_screen() -> Iterator[str]:
    """An Xvfb on a free display, ended with the block."""
    reading, writing = os.pipe()
    size = f"{TALL[0]}x{TALL[1]}x24"
    command = ["Xvfb", "-displayfd", str(writing), "-screen", "0", size, "-nolisten", "tcp"]
    server = subprocess.Popen(command, pass_fds=(writing,), stderr=subprocess.DEVNULL)
    os.close(writing)
    try:
        with os.fdopen(reading) as told:
            yield f":{told.readline().strip()}"
    finally:
        server.terminate()
        server.wait()


@contextlib.contextmanager
def _models_and_hub(folder: str) -> Iterator[str]:
    """The address of a Hub of a process of its own; models lie in the folder. Ended with the block."""
    command = [sys.executable, str(Path(__file__).with_name("picture_models.py")), folder]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as serving:
        try:
            yield serving.stdout.readline().strip()
        finally:
            serving.stdin.close()


def _inside(arguments: argparse.Namespace) -> int:
    """On the virtual screen: opens the app and takes every picture."""
    from carryon.app.services import build
    from carryon.base.paths import home
    from carryon.ui.application import Wardrobe, make_application
    from carryon.ui.bridge import MainThread

    app = make_application()
    bridge = MainThread()
    services = build(home(), bridge.post)
    try:
        photographer = Photographer(app, services, Wardrobe(app, services), arguments)
        photographer.take_all()
    finally:
        bridge.close()
        services.end()
    return 0


class Photographer:
    """Drives one window after another and writes what the screen shows."""

    def __init__(self, app, services, wardrobe, arguments: argparse.Namespace) -> None:
        from carryon.app.models import find, guide

        self._app, self._services, self._wardrobe, self._folder = app, services, wardrobe, arguments.folder
        self._model = find(str(arguments.model), services.home) if arguments.model else guide()
        self._window = None

    def take_all(self) -> None:
        """First run, a filled conversation, dialogs and pages, the middle of an answer in every look, a crash's card.

        In the middle of an answer the engine is held back, so that comes after everything that tells of speeds.
        """
        self._open("light", 100)
        self._take("first-run-light")
        self._wear("dark", 100)
        self._take("first-run-dark")
        self._wear("light", 100)
        self._fit_here("fit-here-light")
        self._load()
        self._fill()
        for look in ("light", "dark"):
            self._wear(look, 100)
            self._memory(f"memory-{look}")
            self._load_dialog(f"load-{look}")
            self._settings(f"settings-{look}")
            self._fit(f"fit-{look}")
            self._discover(look)
            self._library(f"library-{look}")
            self._workshop(look)
        self._wear("light", 200)
        self._fit("fit-light-200")
        self._load_dialog("load-light-200")
        self._settings("settings-light-200")
        self._library("library-light-200")
        self._workshop_step("RUN", "workshop-run-light-200")
        for look, percent in (("light", 100), ("dark", 100), ("light", 200), ("dark", 200)):
            self._wear(look, percent)
            self._mid_answer(f"chat-{look}" if percent == 100 else f"chat-{look}-{percent}")
        self._wear("light", 100)
        self._crash("crash-light")

    def _open(self, look: str, percent: int) -> None:
        from carryon.ui.window import Window

        self._wear(look, percent)
        self._window = Window(self._services)
        self._window.setGeometry(0, 0, *WINDOW)
        self._window.show()
        self._window.begin()
        self._window.activateWindow()
        self._until(lambda: self._window.machine.machine is not None and self._window.status.use is not None)

    def _wear(self, look: str, percent: int) -> None:
        from carryon.base.settings import Theme

        change = {"theme": Theme(look), "text_size_percent": percent}
        self._services.settings.change(lambda now: replace(now, **change))
        self._wardrobe.put_on()

    def _load(self) -> None:
        from carryon.app.host import LoadedModel

        host = self._services.host
        host.load(host.wish_for(self._model))
        self._until(lambda: isinstance(host.state, LoadedModel))

    def _fill(self) -> None:
        """A few conversations, so that the list looks as it does after a day."""
        for question in EARLIER:
            self._window.chat.new_chat()
            self._ask_to_the_end(question)
        self._window.chat.new_chat()
        for question in CONVERSATION:
            self._ask_to_the_end(question)

    def _ask(self, question: str) -> None:
        """As a person does: the words into the field, then the button."""
        composer = self._window.chat.composer
        composer.field.setPlainText(question)
        self._pause_s(0.2)
        composer.send.click()

    def _ask_to_the_end(self, question: str) -> None:
        self._ask(question)
        presenter = self._window.chat.presenter
        self._until(lambda: not presenter.is_answering and bool(presenter.messages) and presenter.messages[-1].text)
        self._pause_s(0.2)

    def _mid_answer(self, name: str) -> None:
        """Lets the engine run in small steps until some words are there, takes the picture, and stops the answer."""
        from carryon.chat.message import Role

        page, presenter = self._window.chat, self._window.chat.presenter
        pid = self._services.host.state.engine.pid
        told, add_words = [], page.add_words
        page.add_words = lambda message_id, words: (told.append(words), add_words(message_id, words))
        self._ask(LAST_QUESTION)
        self._until(lambda: _in_small_steps(pid) and len("".join(told)) >= FIRST_WORDS)
        page.add_words = add_words
        self._take(name)
        assert presenter.is_answering, "the answer was over before the picture was taken"
        os.kill(pid, signal.SIGCONT)
        page.composer.send.click()  # stops it: the speed of an engine in small steps is not to be shown
        self._until(lambda: not presenter.is_answering)
        self._pause_s(0.5)
        last = [one for one in presenter.messages if one.role is Role.USER][-1]
        self._services.store.replace_from(last.id)  # the next picture starts from the same conversation
        presenter.open(presenter.conversation_id)
        self._pause_s(0.2)

    def _memory(self, name: str) -> None:
        self._window.status.model_button.click()
        self._take(name)
        self._window.memory.hide()

    def _load_dialog(self, name: str) -> None:
        self._window.show_load_dialog()
        dialog = self._window.load_dialog
        self._until(lambda: dialog.presenter.form.fit and dialog.presenter.form.fit.basis.value != "instant")
        dialog.move((WINDOW[0] - dialog.width()) // 2, (WINDOW[1] - dialog.height()) // 2)
        self._take(name)
        dialog.reject()

    def _settings(self, name: str) -> None:
        from carryon.ui.window import Page

        self._window.show_page(Page.SETTINGS)
        self._take(name)
        self._window.show_page(Page.CHAT)

    def _fit(self, name: str) -> None:
        """A model that is not here on a machine that is not here: what people ask before they buy or download."""
        from carryon.gguf.sketch import Parameters

        page = self._open_fit()
        page.presenter.plan_for_parts((FIT_GPU,), FIT_RAM_BYTES)
        page.presenter.choose(Parameters(**FIT_MODEL))
        self._until(lambda: page.presenter.form.plan)
        self._take(name)
        page.presenter.plan_here()
        self._close_fit()

    def _fit_here(self, name: str) -> None:
        page = self._open_fit()
        page.presenter.choose(self._model)
        self._until(lambda: page.presenter.form.plan)
        page.presenter.choose_quant(page.presenter.form.subject.chosen)
        self._until(lambda: page.presenter.form.fit.basis.value != "instant")  # the engine's own plan
        self._take(name)
        self._close_fit()

    def _open_fit(self):
        from carryon.ui.window import Page

        self._window.resize(*TALL)
        self._window.show_page(Page.FIT)
        return self._window.fit

    def _close_fit(self) -> None:
        from carryon.ui.window import Page

        self._window.resize(*WINDOW)
        self._window.show_page(Page.CHAT)

    def _discover(self, look: str) -> None:
        """A search, a repository with its quants, and two downloads of it."""
        from carryon.hub.names import Reference
        from carryon.hub.search import SearchWish
        from carryon.ui.window import Page

        self._window.show_page(Page.DISCOVER)
        page, downloads = self._window.pages.discover, self._services.downloads
        page.back()
        page.searching.search(SearchWish("gguf"), is_final=True)
        self._until(lambda: len(page.searching.form.lines) >= 6)
        self._take(f"discover-{look}")
        page.open_repository(Reference(DOWNLOADED_REPO))
        self._until(lambda: page.repository.form.plan and page.repository.form.card)
        self._take(f"repository-{look}")
        for quant in ("Q4_K_M", "Q8_0"):
            form = page.repository.form
            downloads.add(self._services.discovery.wish_for(form.look, form.look.quant(quant)))
        downloads.pause(downloads.now[-1].id)
        self._until(lambda: downloads.now[0].fraction > 0.4)
        self._window.show_downloads()
        self._take(f"downloads-{look}")
        self._window.show_downloads()
        for one in downloads.now:
            downloads.cancel(one.id, keeps_part=False)
        self._until(lambda: not downloads.now)
        self._window.show_page(Page.CHAT)

    def _library(self, name: str) -> None:
        from carryon.ui.window import Page

        self._window.show_page(Page.LIBRARY)
        page = self._window.pages.library
        self._until(lambda: self._services.library.entries and not self._services.library.state.is_scanning)
        chosen = next(one for one in self._services.library.entries if one.path.stem == LIBRARY_MODEL)
        page.presenter.select(chosen.path)
        self._pause_s(2)  # what fits is worked out row by row
        self._take(name)
        self._window.show_page(Page.CHAT)

    def _workshop(self, look: str) -> None:
        """The guide's own folder made smaller and measured, for real, the first time; then step by step."""
        from carryon.app.models import guide
        from carryon.ui.window import Page

        self._window.show_page(Page.WORKSHOP)
        page = self._window.pages.workshop
        if not self._services.workshop.now:
            folder = Path(os.environ["HOME"]) / "Carryon-Guide"  # the picture shows where it lies
            shutil.copytree(guide().path.parent, folder)
            page.presenter.open_path(folder)
            self._until(lambda: page.presenter.form.preflight)
            for quant in WORKSHOP_QUANTS:
                page.presenter.tick(quant, True)
            page.presenter.choose(measures=True)
            page.presenter.make()
            self._until(lambda: not self._services.workshop.now[0].is_active)
            self._pause_s(8)  # until the message of its end is gone
        for step in ("PREFLIGHT", "TARGETS", "RUN"):
            self._workshop_step(step, f"workshop-{step.lower()}-{look}")

    def _workshop_step(self, step: str, name: str) -> None:
        from carryon.ui.window import Page
        from carryon.ui.workshop.form import Step

        self._window.show_page(Page.WORKSHOP)
        self._window.resize(*(TALL if step == "RUN" else WINDOW))
        self._window.pages.workshop.presenter.go(Step[step])
        self._pause_s(1.0)  # the chart is drawn when its library is there
        self._take(name)
        self._window.resize(*WINDOW)
        self._window.show_page(Page.CHAT)

    def _crash(self, name: str) -> None:
        from carryon.app.host import FailedModel

        os.kill(self._services.host.state.engine.pid, signal.SIGSEGV)
        self._until(lambda: isinstance(self._services.host.state, FailedModel))
        self._take(name)

    def _take(self, name: str) -> None:
        """What stands on the screen, not what a widget would like to show."""
        self._pause_s(0.6)
        file = self._folder / f"{name}.png"
        self._app.primaryScreen().grabWindow(0, 0, 0, self._window.width(), self._window.height()).save(str(file))
        print(file)

    def _until(self, is_so: Callable[[], object]) -> None:
        until_s = time.monotonic() + PATIENCE_S
        while not is_so():
            if time.monotonic() > until_s:
                raise SystemExit("The window did not come so far in time.")
            self._app.processEvents()
            time.sleep(0.002)

    def _pause_s(self, length_s: float) -> None:
        until_s = time.monotonic() + length_s
        self._until(lambda: time.monotonic() >= until_s)


def _in_small_steps(pid: int) -> bool:
    """A millisecond of work, then a pause in which the window catches up."""
    os.kill(pid, signal.SIGCONT)
    time.sleep(0.001)
    os.kill(pid, signal.SIGSTOP)
    time.sleep(0.02)
    return True


if __name__ == "__main__":
    sys.exit(main())
