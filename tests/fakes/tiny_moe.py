"""A tiny model with experts: like Mixtral, each layer has several feed-forwards of which a token passes two."""

import numpy as np
from fakes import tiny_gguf

N_EXPERTS, N_USED = 4, 2


def expert_model(path, layers=4):
    """Random weights; says nothing that means anything, and always the same."""
    shape = tiny_gguf.Shape(layers=layers)
    vocabulary = tiny_gguf.Vocabulary(tiny_gguf.COUNTING)
    random = np.random.default_rng(7)
    said, heard = random.standard_normal((2, len(vocabulary), shape.hidden)).astype(np.float32)
    heard[-len(tiny_gguf.CONTROL) :] = 0  # it never says a control token, so it never ends by itself
    tensors = tiny_gguf.random_tensors(shape, said, heard)
    for layer in range(layers):
        for kind in ("gate", "up", "down"):
            dense = tensors.pop(f"blk.{layer}.ffn_{kind}.weight")
            experts = random.standard_normal((N_EXPERTS, *dense.shape)) / dense.shape[1] ** 0.5
            tensors[f"blk.{layer}.ffn_{kind}_exps.weight"] = experts.astype(np.float16)
        router = random.standard_normal((N_EXPERTS, shape.hidden)) / shape.hidden**0.5
        tensors[f"blk.{layer}.ffn_gate_inp.weight"] = router.astype(np.float32)

    def counts(writer):
        writer.add_expert_count(N_EXPERTS)
        writer.add_expert_used_count(N_USED)

    single = {name for name in tensors if name.endswith("ffn_gate_inp.weight")}
    return tiny_gguf.write(path, shape, vocabulary, tiny_gguf.CHATML, tensors, extra=counts, single=single)
