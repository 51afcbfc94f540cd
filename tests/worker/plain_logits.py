"""Run as a child: what a model expects after each token of some chunks, so many at a time, through another binding.

python plain_logits.py MODEL CHUNKS.json LOGITS.npz STEP; logits are [chunks, tokens, words].
"""

import json
import sys
from pathlib import Path

import llama_cpp
import numpy as np

F16 = 1  # ggml type of the KV cache


def main(model, chunks, target, step):
    asked = json.loads(Path(chunks).read_text(encoding="utf-8"))
    kv = {"type_k": F16, "type_v": F16, "flash_attn": True}
    llama = llama_cpp.Llama(model, n_ctx=len(asked[0]), n_threads=1, logits_all=True, verbose=False, **kv)
    answers = []
    for chunk in asked:
        llama.reset()
        for start in range(0, len(chunk), int(step)):
            llama.eval(chunk[start : start + int(step)])
        answers.append(np.array(llama.scores[: len(chunk)]))
    np.savez(target, logits=np.array(answers))


if __name__ == "__main__":
    main(*sys.argv[1:])
