"""Run as a child: what the real engine answers with a GGUF model and, if there is one, an adapter file beside it.

python adapter_engine.py MODEL ADAPTER|- IDS.json LOGITS.npy
"""

import ctypes
import json
import sys
from pathlib import Path

import llama_cpp
import numpy as np


def main(model, adapter, ids, logits):
    ids = json.loads(Path(ids).read_text())
    exact = {"type_k": 0, "type_v": 0, "logits_all": True, "n_ctx": 256, "n_batch": 256}
    llama = llama_cpp.Llama(model, n_threads=2, verbose=False, **exact)
    if adapter != "-":
        pointer = llama_cpp.llama_adapter_lora_init(llama._model.model, adapter.encode())
        assert pointer, "the engine does not take the adapter"
        adapters = (type(pointer) * 1)(pointer)
        scales = (ctypes.c_float * 1)(1.0)
        assert llama_cpp.llama_set_adapters_lora(llama._ctx.ctx, adapters, 1, scales) == 0
    llama.eval(ids)
    np.save(logits, np.array(llama.scores[: len(ids)]))


if __name__ == "__main__":
    main(*sys.argv[1:])
