"""How smooth the window stays while an answer streams: gaps of the event loop, printed as a table. Run by hand.

    python tests/benchmarks/bench_window_stream.py [--seconds 20] [--rate 100] [--messages 200] [--page]

A fake engine sends tokens over real HTTP into a conversation of 200 messages. A timer of 1 ms on the main thread notes
when it is served; the time between two notes is a gap. The goal is a 99th percentile of at most 16 ms.
"""

import argparse
import gc
import os
import random
import sys
import tempfile
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fakes import fake_engine
from PySide6.QtCore import QEventLoop, Qt, QTimer
from PySide6.QtWidgets import QApplication

from carryon.app.host import LoadedModel, LoadWish
from carryon.app.models import ModelFile
from carryon.app.services import build
from carryon.base.paths import Home
from carryon.base.settings import Theme
from carryon.chat.message import Role
from carryon.ui import theme
from carryon.ui.bridge import MainThread

GOAL_MS = 16.0
SENTENCE = """the model holds its weights in memory and a cache that grows with every token so a longer context needs
more of it while layers on the card run fast and those on the processor wait for memory bandwidth"""
CODE = """def split(layers, free):
    taken = 0
    for layer in layers:
        taken += layer.size  # bytes
    return taken"""


def main():
    options = _options()
    app = QApplication([])
    app.setStyle("Fusion")
    posting = MainThread()
    with tempfile.TemporaryDirectory() as folder:
        command = fake_engine.command(delay_ms=1000 / options.rate, text=long_text(options.rate * options.seconds * 2))
        services = build(Home(Path(folder)), posting.post, command)
        try:
            run(app, services, options)
        finally:
            services.end()


def run(app, services, options):
    """Fills the store, opens the page, streams, and prints."""
    conversation = fill(services.store, options.messages)
    services.settings.change(lambda now: replace(now, was_welcomed=True))
    theme.apply(app, Theme.LIGHT, 100)
    page, window = open_window(services, options)
    window.resize(1180, 780)
    window.show()
    services.host.load(LoadWish(ModelFile(Path("/fake.gguf"), "Fake 8B", "/fake.gguf"), 1 << 20, 28))
    wait(app, lambda: isinstance(services.host.state, LoadedModel))
    page.presenter.open(conversation.id)
    wait(app, lambda: False, 1.0)
    page.presenter.send("Tell me everything, please.")
    wait(app, lambda: page.presenter.messages[-1].role is Role.ASSISTANT and page.transcript.views(), 5)
    wait(app, lambda: False, 2.0)  # imports and first fonts are no part of streaming
    began_cpu_s = time.process_time()
    gaps = measure(app, options.seconds)
    cpu_share = (time.process_time() - began_cpu_s) / options.seconds
    said = page.transcript.views()[-1].text.toPlainText()
    page.presenter.stop()
    report(gaps, options, cpu_share, said)


def open_window(services, options):
    if options.page:
        from carryon.ui.chat.page import ChatPage

        page = ChatPage(services)
        return page, page
    from carryon.ui.window import Window

    window = Window(services)
    window.begin()
    return window.chat, window


def measure(app, seconds):
    """The gaps in milliseconds between the services of a 1-ms timer."""
    notes = []
    timer = QTimer(timerType=Qt.TimerType.PreciseTimer, interval=1)
    timer.timeout.connect(lambda: notes.append(time.perf_counter()))
    timer.start()
    wait_quietly(app, seconds)
    timer.stop()
    return sorted((after - before) * 1000 for before, after in pairwise(notes))


def wait_quietly(app, seconds):
    """The event loop as the product runs it: one exec, no polling."""
    QTimer.singleShot(int(seconds * 1000), app.quit)
    app.exec()


def wait(app, until, seconds=20.0):
    end_s = time.monotonic() + seconds
    while not until() and time.monotonic() < end_s:
        app.processEvents(QEventLoop.ProcessEventsFlag.AllEvents, 20)
        time.sleep(0.005)


def report(gaps, options, cpu_share, said):
    def at(share):
        return gaps[min(len(gaps) - 1, int(len(gaps) * share))]

    print(f"{options.messages} messages, {options.rate} tokens/s for {options.seconds} s, {len(said):,} characters")
    print(f"platform {QApplication.platformName()}, {os.cpu_count()} cores, load average {os.getloadavg()[0]:.2f}")
    print(f"own CPU {cpu_share:.0%} of one core, {len(gc.get_objects()):,} Python objects")
    print("gaps    p50    p90    p99  p99.9    max   over 16 ms")
    late = sum(gap > GOAL_MS for gap in gaps)
    print(f"ms  {at(0.5):7.1f}{at(0.9):7.1f}{at(0.99):7.1f}{at(0.999):7.1f}{gaps[-1]:7.1f}   {late} of {len(gaps)}")
    print("goal: p99 <= 16 ms:", "met" if at(0.99) <= GOAL_MS else "MISSED")


def fill(store, n_messages):
    """A conversation of questions and answers with lists, code and tables."""
    conversation = store.begin("A long conversation")
    random.seed(1)
    for number in range(n_messages):
        role = Role.ASSISTANT if number % 2 else Role.USER
        store.add(conversation.id, role, answer_text() if number % 2 else words(12), model_name="Fake 8B")
    return conversation


def words(count):
    return " ".join(random.choice(SENTENCE.split()) for _ in range(count))


def answer_text():
    """Paragraphs, a list, a table and code."""
    items = "\n".join(f"- **{words(2)}** {words(12)}" for _ in range(4))
    rows = "\n".join(f"| {words(1)} | {words(1)} | {random.randint(1, 99)} |" for _ in range(4))
    table = f"| Quant | Verdict | GB |\n|:--|:-:|--:|\n{rows}"
    text = f"{words(50)} `code` {words(20)}."
    return f"## {words(3).title()}\n\n{text}\n\n{items}\n\n{table}\n\n```python\n{CODE}\n```\n\n{words(40)}."


def long_text(n_tokens):
    random.seed(2)
    text = ""
    while len(fake_engine.tokens_of(text)) < n_tokens:
        text += answer_text() + "\n\n"
    return text


def _options():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--rate", type=int, default=100, help="tokens a second")
    parser.add_argument("--messages", type=int, default=200)
    parser.add_argument("--page", action="store_true", help="the chat page alone, without the window around it")
    return parser.parse_args()


if __name__ == "__main__":
    main()
