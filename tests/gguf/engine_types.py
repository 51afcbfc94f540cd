"""Run as a child: asks llama.cpp's own quantizer, without writing a file, which type every tensor would get.

python engine_types.py QUESTIONS.json ANSWERS.json; questions: [[model path, file type, with imatrix], ...].
An answer is {"types": {tensor: type}, "mib": total as printed}.
"""

import ctypes
import json
import re
import sys
from pathlib import Path

import llama_cpp

TENSOR = re.compile(r"^\[ *\d+/ *\d+\] (\S+) +- \[.*\], type = +(\S+), size = [^(\n]*(?:\((\S+)\))?$", re.MULTILINE)
TOTAL = re.compile(r"quant size += +([\d.]+) MiB")


def asked(model, file_type, with_imatrix):
    said = []
    callback = llama_cpp.llama_log_callback(lambda level, text, data: said.append(text))
    llama_cpp.llama_log_set(callback, None)
    wanted = llama_cpp.llama_model_quantize_default_params()
    wanted.ftype, wanted.dry_run = file_type, True
    empty = (llama_cpp.llama_model_imatrix_data * 1)()  # just its end: an imatrix without entries counts as one
    if with_imatrix:
        wanted.imatrix = ctypes.cast(empty, type(wanted.imatrix))
    code = llama_cpp.llama_model_quantize(model.encode(), b"/nowhere/not-written.gguf", ctypes.byref(wanted))
    text = b"".join(said).decode()
    assert code == 0, text[-2000:]
    types = {name: (new or old).upper() for name, old, new in TENSOR.findall(text)}
    return {"types": types, "mib": float(TOTAL.search(text).group(1))}


def main(questions, answers):
    asking = json.loads(Path(questions).read_text(encoding="utf-8"))
    Path(answers).write_text(json.dumps([asked(*question) for question in asking]), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
