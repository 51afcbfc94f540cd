"""Hugging Face model folders for tests: a whole tiny Llama made in milliseconds, without torch."""

import json
import math

import numpy as np
from tokenizers.pre_tokenizers import ByteLevel

CONTROL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
LETTERS = sorted(ByteLevel.alphabet())
MERGES = [["t", "h"], ["th", "e"], ["Ġ", "the"], ["o", "f"]]
TEMPLATE = "{% for message in messages %}<|im_start|>{{ message.content }}<|im_end|>{% endfor %}"
CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "hidden_act": "silu",
    "tie_word_embeddings": True,
    "vocab_size": 264,
    "bos_token_id": 0,
    "eos_token_id": 2,
}
WIDTHS = {"F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "U8": "u1", "F64": "<f8"}


def vocabulary():
    texts = [*CONTROL, *LETTERS, *("".join(pair) for pair in MERGES)]
    return {text: index for index, text in enumerate(texts)}


def tokenizer_json():
    """A byte-level BPE tokenizer of 263 tokens, cut by GPT-2's rule."""
    added = [{"id": index, "content": text, "special": True} for index, text in enumerate(CONTROL)]
    return {
        "version": "1.0",
        "added_tokens": added,
        "normalizer": None,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {"type": "BPE", "vocab": vocabulary(), "merges": MERGES, "ignore_merges": False},
    }


def tokenizer_config():
    return {"bos_token": "<|endoftext|>", "eos_token": "<|im_end|>", "chat_template": TEMPLATE}


def stored(values, number):
    """Float values as a safetensors file stores them in `number` form."""
    if number == "BF16":
        return (np.asarray(values, np.float32).view(np.uint32) >> 16).astype("<u2")
    return np.asarray(values).astype(WIDTHS[number])


def write_safetensors(path, tensors):
    """Writes {name: (number, array of that width)}; independent of the reader under test."""
    header, position = {"__metadata__": {"format": "pt"}}, 0
    for name, (number, values) in tensors.items():
        end = position + values.nbytes
        header[name] = {"dtype": number, "shape": list(values.shape), "data_offsets": [position, end]}
        position = end
    text = json.dumps(header).encode()
    content = len(text).to_bytes(8, "little") + text + b"".join(values.tobytes() for _, values in tensors.values())
    path.write_bytes(content)
    return path


def llama_shapes(config):
    """Every tensor of a Llama of this config."""
    hidden, feed_forward = config["hidden_size"], config["intermediate_size"]
    head = config.get("head_dim") or hidden // config["num_attention_heads"]
    queries, keys = head * config["num_attention_heads"], head * config["num_key_value_heads"]
    shapes = {"model.embed_tokens.weight": (config["vocab_size"], hidden), "model.norm.weight": (hidden,)}
    for layer in range(config["num_hidden_layers"]):
        start = f"model.layers.{layer}."
        shapes |= {
            start + "input_layernorm.weight": (hidden,),
            start + "post_attention_layernorm.weight": (hidden,),
            start + "self_attn.q_proj.weight": (queries, hidden),
            start + "self_attn.k_proj.weight": (keys, hidden),
            start + "self_attn.v_proj.weight": (keys, hidden),
            start + "self_attn.o_proj.weight": (hidden, queries),
            start + "mlp.gate_proj.weight": (feed_forward, hidden),
            start + "mlp.up_proj.weight": (feed_forward, hidden),
            start + "mlp.down_proj.weight": (hidden, feed_forward),
        }
    if not config["tie_word_embeddings"]:
        shapes["lm_head.weight"] = (config["vocab_size"], hidden)
    return shapes


def random_weights(config, number="BF16", seed=0):
    chance = np.random.default_rng(seed)
    return {
        name: (number, stored(chance.standard_normal(shape, np.float32), number))
        for name, shape in llama_shapes(config).items()
    }


def write_json(path, value):
    path.write_text(json.dumps(value), encoding="utf-8")


def write_folder(folder, *, number="BF16", weights=None, tokenizer=None, settings=None, **changes):
    """A whole model folder; `changes` go into config.json. Returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    config = CONFIG | changes
    write_json(folder / "config.json", config)
    write_json(folder / "tokenizer.json", tokenizer or tokenizer_json())
    write_json(folder / "tokenizer_config.json", tokenizer_config() if settings is None else settings)
    write_safetensors(folder / "model.safetensors", weights or random_weights(config, number))
    return folder


def write_shards(folder, weights, n_shards=2):
    """The same weights in several files with an index; replaces model.safetensors."""
    (folder / "model.safetensors").unlink(missing_ok=True)
    names, places = list(weights), {}
    for shard in range(n_shards):
        file = f"model-{shard + 1:05}-of-{n_shards:05}.safetensors"
        mine = names[shard::n_shards]
        write_safetensors(folder / file, {name: weights[name] for name in mine})
        places |= dict.fromkeys(mine, file)
    write_json(folder / "model.safetensors.index.json", {"metadata": {}, "weight_map": places})


def write_sparse(folder, config):
    """Weights of zeros that take no room on the disk, for a Llama of any size. Returns the folder."""
    header, position = {}, 0
    for name, shape in llama_shapes(config).items():
        end = position + 2 * math.prod(shape)
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [position, end]}
        position = end
    text = json.dumps(header).encode()
    with (folder / "model.safetensors").open("wb") as out:
        out.write(len(text).to_bytes(8, "little") + text)
        out.truncate(8 + len(text) + position)
    return folder
