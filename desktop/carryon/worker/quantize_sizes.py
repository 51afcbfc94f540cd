"""The process that works out what files of many quant types will be, from a header alone (carryon.engine.task)."""

from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import Any

from carryon.base.errors import EngineError, Unsupported
from carryon.base.jobs import Progress, aside
from carryon.quantize.request import QuantSize, size_json, wish_of
from carryon.worker.capi import L
from carryon.worker.quantizing import QuantizerLog, layout_complaint
from carryon.worker.sizing import Sizer
from carryon.worker.task import serve


def sizes(request: dict[str, Any]) -> Generator[Progress | None, None, dict[str, Any]]:
    """{"source": path, "folder": for temporary files, "wishes": [...]} -> {"sizes": [...]}.

    A size is null where the model's rows cannot be stored so.
    """
    if complaint := layout_complaint():
        raise EngineError(f"Another engine is installed: {complaint}.", "Run packaging/bootstrap.py again.")
    log = QuantizerLog(is_quiet=True)
    log.attach()
    L.llama_backend_init()
    wishes = [wish_of(one) for one in request["wishes"]]
    sizer = yield from aside(lambda: Sizer(Path(request["source"]), Path(request["folder"]), log))
    with closing(sizer):
        found: list[dict[str, Any] | None] = []
        for number, wish in enumerate(wishes):
            yield Progress(number, len(wishes), wish.quant)
            found.append((yield from aside(lambda wish=wish: _size(sizer, wish))))  # type: ignore[misc]
    return {"sizes": found}


def _size(sizer: Sizer, wish: Any) -> dict[str, Any] | None:
    try:
        size: QuantSize = sizer.plan(wish).size
    except Unsupported:
        return None
    return size_json(size)


if __name__ == "__main__":
    serve(sizes)
