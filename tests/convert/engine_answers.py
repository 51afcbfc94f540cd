"""Run as a child: loads a GGUF file in the real engine and writes what it makes of token ids and texts.

python engine_answers.py MODEL QUESTIONS.json ANSWERS.npz; QUESTIONS holds "ids" and "texts".
"""

import json
import sys
from pathlib import Path

import llama_cpp
import numpy as np

F32 = 0  # ggml type of the KV cache: its default of F16 would hide small errors


def main(model, questions, answers):
    asked = json.loads(Path(questions).read_text(encoding="utf-8"))
    n_ctx = 2 * len(asked["ids"])
    # llama.cpp's own defaults, which let the file speak; the class would overrule it with 1, 32 and 1
    as_filed = {"yarn_attn_factor": -1.0, "yarn_beta_fast": -1.0, "yarn_beta_slow": -1.0}
    exact = {"type_k": F32, "type_v": F32, "logits_all": True, "n_ctx": n_ctx, "n_batch": n_ctx}
    llama = llama_cpp.Llama(model, n_threads=2, verbose=False, **exact, **as_filed)
    llama.eval(asked["ids"])
    cut = [llama.tokenize(text.encode(), add_bos=False, special=True) for text in asked["texts"]]
    whole = llama.tokenize(b"a", add_bos=True, special=False)
    np.savez(
        answers, logits=np.array(llama.scores[: len(asked["ids"])]), tokens=json.dumps(cut), around=json.dumps(whole)
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
