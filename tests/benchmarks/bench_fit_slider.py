"""What one movement of a slider on the Fit page costs: the plan for every quant, and the page drawn anew.

    python tests/benchmarks/bench_fit_slider.py [--rounds 60]

A frame is 16 ms. The plan is made and the page is drawn on the main thread, one after the other, at every movement;
both are counted in time of this thread, so that what else runs on the machine is not. The model is a true header.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from fakes import header_models, machines
from fakes.main_thread import MainThread

from carryon.app.services import build
from carryon.base.paths import Home
from carryon.base.settings import Theme
from carryon.ui import theme
from carryon.ui.application import make_application
from carryon.ui.fit.page import FitPage

FRAME_MS = 16
MODELS = ("qwen3-8b", "qwen3-30b-a3b", "llama33-70b")
SIZE = (1196, 820)


def main() -> None:
    """Measures and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=60)
    rounds = parser.parse_args().rounds
    app = make_application()
    theme.apply(app, Theme.LIGHT, 100)
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(f"milliseconds a movement, median (worst), goal {FRAME_MS}")
    with tempfile.TemporaryDirectory() as folder:
        for name in MODELS:
            plan_ms, draw_ms = _measured(app, name, Path(folder), rounds)
            both = [sum(pair) for pair in zip(plan_ms, draw_ms, strict=True)]
            print(f"{name:15} plan {_text(plan_ms)}   draw {_text(draw_ms)}   together {_text(both)}")


def _measured(app, name: str, folder: Path, rounds: int) -> tuple[list[float], list[float]]:
    """Moves the context slider back and forth over every step."""
    path = header_models.write_header_model(name, folder / f"{name}.gguf", "Q4_K_M")
    main_thread = MainThread()
    services = build(Home(folder / f"home-{name}"), main_thread.post)
    page = FitPage(services)
    page.resize(*SIZE)
    page.show()
    page.set_machine(machines.WITH_GPU)
    page.presenter.choose_path(path)
    main_thread.run_until(lambda: page.presenter.form.plan)
    slider = page.findChild(type(page._choices._context)).slider
    figures = [_moved(app, page, slider, index) for index in range(rounds + 5)][5:]
    page.close()
    services.end()
    return [plan for plan, _ in figures], [draw for _, draw in figures]


def _moved(app, page: FitPage, slider, index: int) -> tuple[float, float]:
    """One movement: what passes before the form is shown is the plan, what comes after is the drawing."""
    shown_s: list[float] = []
    show_form = page.show_form
    page.show_form = lambda form: (shown_s.append(time.thread_time()), show_form(form))
    began_s = time.thread_time()
    slider.setValue(index % (slider.maximum() + 1))
    app.processEvents()
    ended_s = time.thread_time()
    page.show_form = show_form
    return (shown_s[0] - began_s) * 1000, (ended_s - shown_s[0]) * 1000


def _text(times_ms: list[float]) -> str:
    return f"{statistics.median(times_ms):5.1f} ({max(times_ms):5.1f})"


if __name__ == "__main__":
    main()
