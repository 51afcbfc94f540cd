"""Run as a child: loads an embedding model in the real engine and writes the vector it makes of a text.

python engine_vectors.py MODEL TEXT ANSWER.npz; the answer has the text's tokens too.
"""

import sys

import llama_cpp
import numpy as np


def main(model, text, answer):
    llama = llama_cpp.Llama(model, embedding=True, n_ctx=256, n_batch=256, n_ubatch=256, n_threads=2, verbose=False)
    np.savez(answer, vector=np.array(llama.embed(text)), tokens=llama.tokenize(text.encode()))


if __name__ == "__main__":
    main(*sys.argv[1:])
