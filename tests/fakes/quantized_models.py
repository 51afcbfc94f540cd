"""Models of Q4_K weights, made without quantizing anything: hundreds of megabytes in a second, where size matters."""

import numpy as np
from fakes import tiny_gguf

BLOCK_WEIGHTS, BLOCK_BYTES = 256, 144  # block_q4_K of ggml-common.h: two half floats, scales, 128 bytes of weights
_SCALE, _LEAST = 1e-4, 8e-4  # of a block; weights of about 1/sqrt(1024)


def quantized_model(path, layers, hidden=1024, feed_forward=8192):
    """Layers of random Q4_K (16 MB each with these sizes), which the processor would rather have in its own order.

    All layers are the same one; the words stay half floats.
    """
    shape = tiny_gguf.Shape(layers=layers, hidden=hidden, feed_forward=feed_forward, heads=8)
    vocabulary = tiny_gguf.Vocabulary(tiny_gguf.COUNTING)
    random = np.random.default_rng(11)
    said, heard = random.standard_normal((2, len(vocabulary), hidden)).astype(np.float32)
    heard[-len(tiny_gguf.CONTROL) :] = 0  # it never says a control token, so it never ends by itself
    first = tiny_gguf.random_tensors(tiny_gguf.Shape(1, hidden, feed_forward, 8), said, heard)
    tensors = {}
    for name, tensor in first.items():
        if not name.startswith("blk.0."):
            tensors[name] = tensor
            continue
        stored = _quantized(random, tensor.shape) if tensor.ndim == 2 else tensor
        tensors |= {name.replace("blk.0.", f"blk.{layer}."): stored for layer in range(layers)}
    return tiny_gguf.write(path, shape, vocabulary, tiny_gguf.CHATML, tensors)


def _quantized(random, shape):
    rows, columns = shape
    blocks = random.integers(0, 256, (rows * columns // BLOCK_WEIGHTS, BLOCK_BYTES), np.uint8)
    blocks[:, :4] = np.frombuffer(np.array([_SCALE, _LEAST], np.float16).tobytes(), np.uint8)
    return blocks.reshape(rows, -1)
