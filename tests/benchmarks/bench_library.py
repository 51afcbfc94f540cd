"""How long the library takes for many models: a first look, a second one, and the closer look that follows the first.

python tests/benchmarks/bench_library.py [--files 1000]

Every file has the header of a real 8B model with 152,000 tokens (6 MB) and the size of one; all are hard links to a few
sparse files, so that the disk does not decide.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
from bench_header import vocabulary
from fakes.header_models import MODELS, as_quantized
from fakes.header_writer import HeaderWriter

from carryon.base.jobs import drained
from carryon.hub.library.index import Index
from carryon.hub.library.scanning import Scan, checking, scanning
from carryon.hub.library.shelves import Program, Shelf

N_TOKENS, CHECKED = 152_000, 40
FIRST_TARGET_S, SECOND_TARGET_S = 2.0, 0.5
FINE, MISSED = "\N{CHECK MARK}", "MISSED"


def make_shelf(root: Path, n_files: int) -> Shelf:
    """So many models in folders of ten, as LM Studio keeps them."""
    fields, tensors = as_quantized(*MODELS["qwen3-8b"](), "Q4_K_M")
    source = HeaderWriter().write(root / "source.bin", fields | vocabulary(N_TOKENS), tensors)
    for number in range(n_files):
        path = root / "shelf" / f"owner{number // 100}" / f"model{number // 10}-GGUF" / f"model-{number}-Q4_K_M.gguf"
        path.parent.mkdir(parents=True, exist_ok=True)
        os.link(source, path)
    return Shelf(Program.LM_STUDIO, root / "shelf")


def timed_s(call: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds, and what came of it."""
    began_s = time.perf_counter()
    result = call()
    return time.perf_counter() - began_s, result


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=1000)
    n_files = parser.parse_args().files
    with tempfile.TemporaryDirectory() as folder:
        shelf = make_shelf(Path(folder), n_files)
        index = Index(Path(folder) / "library.sqlite")
        first_s, scan = timed_s(lambda: drained(scanning((shelf,), index)))
        assert isinstance(scan, Scan)
        assert len(scan.listed) == n_files, len(scan.listed)
        second_s, again = timed_s(lambda: drained(scanning((shelf,), index)))
        assert again == scan
        some = scan.entries[:CHECKED]
        closer_s, found = timed_s(lambda: drained(checking(some, index, 1e9)))
        assert len(found) == min(CHECKED, n_files)
        changed_s, has_changed = timed_s(lambda: any(one.has_changed() for one in scan.looked))
        assert not has_changed
        index.close()
    goals = [("first look", first_s, FIRST_TARGET_S), ("second look", second_s, SECOND_TARGET_S)]
    for name, took_s, target_s in goals:
        goal_s = target_s * n_files / 1000
        sign = FINE if took_s < goal_s else MISSED
        print(f"{n_files:,} models, {name:12} {took_s:6.2f} s   target {goal_s:.1f} s  {sign}")
    print(f"closer look, in the background   {closer_s / len(some) * 1e3:6.1f} ms a model")
    print(f"whether anything has changed     {changed_s * 1e3:6.1f} ms")
    return 0 if all(took_s < target_s * n_files / 1000 for _, took_s, target_s in goals) else 1


if __name__ == "__main__":
    sys.exit(main())
