"""Run as a child: what the engine itself would hold for header-only files, by its own account.

python engine_plans.py QUESTIONS.json ANSWERS.json; a question is [header path, n_ctx, n_ubatch]; an answer is
{"weights": bytes, "kv": bytes of the cache and the recurrent state}, or a text: why the engine made no plan. Each is
planned in a process of its own, for an assertion ends it.
"""

import ctypes
import json
import os
import sys
from pathlib import Path

from carryon.gguf.header import read_header
from carryon.worker.capi import L, symbol
from carryon.worker.memory import breakdown, total


class InitParams(ctypes.Structure):
    """gguf_init_params of gguf.h."""

    _fields_ = (("no_alloc", ctypes.c_bool), ("ctx", ctypes.c_void_p))


def loaded(path, is_weightless):
    """The model of a header; llama_model_init_from_user invents weights for one that lists none."""
    parameters = L.llama_model_default_params()
    parameters.no_alloc, parameters.n_gpu_layers, parameters.load_mode = True, 0, L.LLAMA_LOAD_MODE_NONE
    parameters.use_extra_bufts = False
    no_devices = (ctypes.c_void_p * 1)(None)
    parameters.devices = ctypes.addressof(no_devices)
    if not is_weightless:
        return L.llama_model_load_from_file(os.fsencode(path), parameters)
    parameters.load_mtp = True  # an invented weight cannot be left out
    read = symbol("gguf_init_from_file", ctypes.c_void_p, ctypes.c_char_p, InitParams)
    metadata = read(os.fsencode(path), InitParams(True, None))
    silent = L.llama_model_set_tensor_data_t(lambda tensor, data: None)
    return L.llama_model_init_from_user(metadata, silent, None, parameters) if metadata else None


def planned(path, n_ctx, n_ubatch):
    """Both figures, or the end of the engine's log."""
    said = []
    callback = L.llama_log_callback(lambda level, text, data: said.append(text.decode("utf-8", "replace")))
    L.llama_log_set(callback, None)
    model = loaded(path, is_weightless=not read_header(Path(path)).tensors)
    wanted = L.llama_context_default_params()
    wanted.n_ctx, wanted.n_batch, wanted.n_ubatch, wanted.n_outputs_max = n_ctx, n_ubatch, n_ubatch, 1
    wanted.flash_attn_type, wanted.swa_full = 1, False
    context = L.llama_init_from_model(model, wanted) if model else None
    if not context:
        return "".join(said)[-300:]
    use = total(breakdown(context).values())
    return {"weights": use.weights_bytes, "kv": use.kv_bytes}


def asked(question):
    """The answer of a child of this child."""
    readable, writable = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(writable, 2)  # an assertion says what it is about
        with os.fdopen(writable, "w") as out:
            json.dump(planned(*question), out)
        os._exit(0)
    os.close(writable)
    with os.fdopen(readable) as answer:
        text = answer.read()
    os.waitpid(child, 0)
    try:
        return json.loads(text)
    except ValueError:
        return f"the engine died: {text[-300:]}"


def main(questions, answers):
    asking = json.loads(Path(questions).read_text(encoding="utf-8"))
    Path(answers).write_text(json.dumps([asked(question) for question in asking]), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
