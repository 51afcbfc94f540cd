"""What one movement of the load dialog's slider costs: the plan, the limits, and the dialog drawn anew.

    python tests/benchmarks/bench_load_slider.py [--rounds 3]

A frame is 16 ms. Everything happens on the main thread and is counted in its own time, so that what else runs on the
machine is not. The models are true headers; the machine has an RTX 4060.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from dataclasses import replace
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
from carryon.ui.loading.page import LoadDialog
from carryon.ui.loading.presenter import model_file

FRAME_MS = 16
MODELS = (("llama31-8b", "Q4_K_M"), ("llama31-8b", None), ("qwen3-30b-a3b", "Q4_K_M"), ("dsv3", "Q4_K_M"))


def main() -> None:
    """Measures and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    app = make_application()
    theme.apply(app, Theme.LIGHT, 100)
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; milliseconds a movement, goal {FRAME_MS}")
    with tempfile.TemporaryDirectory() as folder:
        for name, quant in MODELS:
            times_ms = sorted(_measured(app, name, quant, Path(folder), rounds))
            share_95 = times_ms[int(len(times_ms) * 0.95)]
            median, worst = statistics.median(times_ms), times_ms[-1]
            print(f"{name:14} {quant or 'F16':7} median {median:5.1f}   95 % {share_95:5.1f}   worst {worst:5.1f}")


def _measured(app, name: str, quant: str | None, folder: Path, rounds: int) -> list[float]:
    """Moves the slider over every number of layers, up and down."""
    path = header_models.write_header_model(name, folder / f"{name}-{quant}.gguf", quant)
    main_thread = MainThread()
    services = replace(build(Home(folder / "home"), main_thread.post), probing=machines.probing(machines.WITH_GPU))
    dialog = LoadDialog(services)
    dialog.open_with(model_file(path))
    main_thread.run_until(lambda: dialog.presenter.form.plan)
    slider = dialog._layers.slider
    steps = [*range(slider.maximum() + 1), *range(slider.maximum(), -1, -1)]
    times_ms = [_moved(app, slider, step) for _ in range(rounds + 1) for step in steps]
    dialog.close()
    services.end()
    return times_ms[len(steps) :]  # the first round imports and makes widgets


def _moved(app, slider, step: int) -> float:
    began_s = time.thread_time()
    slider.setValue(step)
    app.processEvents()
    return (time.thread_time() - began_s) * 1000


if __name__ == "__main__":
    main()
