"""Models to measure with: random weights in a real shape, with the guide's real vocabulary, kept in the cache."""

import os
import subprocess
from importlib import resources
from pathlib import Path

import gguf
import numpy as np

LAYERS, HIDDEN, FFN, HEADS, KV_HEADS, VOCAB, CONTEXT = 22, 2048, 5632, 32, 4, 32000, 4096  # TinyLlama 1.1B's shape
GUIDE = Path(str(resources.files("carryon.resources").joinpath("guide/guide-Q8_0.gguf")))


def cache() -> Path:
    """Where big benchmark files are kept between runs."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = root / "carryon" / "benchmarks"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def llama_1b_q4_k_m(quantize_tool: Path) -> Path:
    """A 1.1 B Llama of random weights in Q4_K_M; made once (about three minutes on two cores)."""
    target = cache() / "random-llama-1.1b-Q4_K_M.gguf"
    if not target.exists():
        source, part = cache() / "random-llama-1.1b-F16.gguf", target.with_suffix(".part")
        _write_f16(source)
        subprocess.run([quantize_tool, source, part, "Q4_K_M"], check=True, capture_output=True)
        part.rename(target)
        source.unlink()
    return target


def llama_1b_f16(n_layers: int = LAYERS) -> Path:
    """The same in half floats (2.2 GB), or fewer of its layers; made once."""
    target = cache() / f"random-llama-1.1b-{n_layers}-layers-F16.gguf"
    if not target.exists():
        part = target.with_suffix(".part")
        _write_f16(part, n_layers)
        part.rename(target)
    return target


def _write_f16(path: Path, n_layers: int = LAYERS) -> None:
    random = np.random.default_rng(7)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("Random Llama 1.1B")
    writer.add_block_count(n_layers)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(HIDDEN)
    writer.add_feed_forward_length(FFN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(HIDDEN // HEADS)
    writer.add_vocab_size(VOCAB)
    _copy_vocabulary(writer)
    for name, shape in _shapes(n_layers):
        weights = random.standard_normal(shape, dtype=np.float32) * 0.02
        writer.add_tensor(name, weights.astype(np.float16) if len(shape) == 2 else weights + 1)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _shapes(n_layers: int) -> list[tuple[str, tuple[int, ...]]]:
    kv = HIDDEN // HEADS * KV_HEADS
    shapes: list[tuple[str, tuple[int, ...]]] = [
        ("token_embd.weight", (VOCAB, HIDDEN)),
        ("output_norm.weight", (HIDDEN,)),
        ("output.weight", (VOCAB, HIDDEN)),
    ]
    for layer in range(n_layers):
        shapes += [
            (f"blk.{layer}.attn_norm.weight", (HIDDEN,)),
            (f"blk.{layer}.attn_q.weight", (HIDDEN, HIDDEN)),
            (f"blk.{layer}.attn_k.weight", (kv, HIDDEN)),
            (f"blk.{layer}.attn_v.weight", (kv, HIDDEN)),
            (f"blk.{layer}.attn_output.weight", (HIDDEN, HIDDEN)),
            (f"blk.{layer}.ffn_norm.weight", (HIDDEN,)),
            (f"blk.{layer}.ffn_gate.weight", (FFN, HIDDEN)),
            (f"blk.{layer}.ffn_up.weight", (FFN, HIDDEN)),
            (f"blk.{layer}.ffn_down.weight", (HIDDEN, FFN)),
        ]
    return shapes


def _copy_vocabulary(writer: gguf.GGUFWriter) -> None:
    """The guide's tokens and merges, padded with unused ones to the size of the embedding."""
    fields = gguf.GGUFReader(GUIDE).fields
    tokens = fields["tokenizer.ggml.tokens"].contents()
    types = fields["tokenizer.ggml.token_type"].contents()
    padding = VOCAB - len(tokens)
    writer.add_tokenizer_model(fields["tokenizer.ggml.model"].contents())
    writer.add_tokenizer_pre(fields["tokenizer.ggml.pre"].contents())
    writer.add_token_list(tokens + [f"[PAD{index}]" for index in range(padding)])
    writer.add_token_types(types + [int(gguf.TokenType.UNUSED)] * padding)
    writer.add_token_merges(fields["tokenizer.ggml.merges"].contents())
    writer.add_bos_token_id(fields["tokenizer.ggml.bos_token_id"].contents())
    writer.add_eos_token_id(fields["tokenizer.ggml.eos_token_id"].contents())
    writer.add_chat_template(fields["tokenizer.chat_template"].contents())
