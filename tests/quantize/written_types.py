"""Run as a child: writes a model in many types with the worker's own parts, and says what was planned and what came.

python written_types.py FOLDER QUESTIONS.json ANSWERS.json; questions: [[source, quant, imatrix or null], ...].
An answer is {"planned": bytes, "written": bytes, "types": whether each tensor has the type that was planned,
"needs": whether an importance matrix is needed, "warned": whether llama.cpp's own dry run warns that it is}.
"""

import json
import sys
from pathlib import Path

from carryon.gguf.header import read_header
from carryon.gguf.quants import GGML_TYPES
from carryon.quantize.imatrix_file import read_importance
from carryon.quantize.request import Wish
from carryon.worker.capi import L
from carryon.worker.quantizing import Parameters, QuantizerLog, quantize
from carryon.worker.sizing import Sizer


def answer(folder, log, source, quant, imatrix):
    sizer = Sizer(Path(source), folder, log)
    wish = Wish(quant, Path(imatrix) if imatrix else None)
    importance = read_importance(wish.imatrix) if imatrix else None
    plan, target = sizer.plan(wish, importance), folder / "written.gguf"
    parameters = Parameters(wish, plan.facts, 1)
    parameters.as_work(importance)
    assert quantize(sizer.parts[0], target, parameters), log.errors()
    found = {one.name: GGML_TYPES[one.type_id].name for one in read_header(target).tensors}
    needs = sizer.plan(Wish(quant)).size.needs_imatrix
    sizer.close()
    return {
        "planned": plan.size_bytes,
        "written": target.stat().st_size,
        "types": found == {one.info.name: one.storage for one in plan.tensors},
        "needs": needs,
        "warned": any("will require an imatrix" in line for line in log.texts()),
    }


def main(folder, questions, answers):
    log = QuantizerLog(is_quiet=True)
    log.attach()
    L.llama_backend_init()
    asking = json.loads(Path(questions).read_text(encoding="utf-8"))
    told = [answer(Path(folder), log, *question) for question in asking]
    Path(answers).write_text(json.dumps(told), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
