"""Random models whose answers are as unsure as a real model's, so that rounding does as little to them."""

import numpy as np
from fakes import tiny_gguf


def unsure_model(path, words=tiny_gguf.COUNTING, seed=1, **options):
    """A model of a byte-level vocabulary; perplexity about 1,600."""
    shape, vocabulary = tiny_gguf.Shape(seed=seed), tiny_gguf.Vocabulary(words)
    random = np.random.default_rng(seed)
    said, heard = random.standard_normal((2, len(vocabulary), shape.hidden)).astype(np.float32)
    tensors = tiny_gguf.random_tensors(shape, said, heard / 8)
    return tiny_gguf.write(path, shape, vocabulary, tiny_gguf.CHATML, tensors, **options)
