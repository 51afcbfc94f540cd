"""BERT, RoBERTa and XLM-R as embedding models: bge, e5, gte, MiniLM, bge-m3. Only the encoder is converted.

The names: transformers/models/bert and xlm_roberta. What llama.cpp reads: src/models/bert.cpp.
"""

import re
from collections.abc import Mapping

from carryon.base.errors import BadFile
from carryon.convert.advice import DOWNLOAD_AGAIN
from carryon.convert.checkpoint import Checkpoint, Source
from carryon.convert.config import Config
from carryon.convert.families.model import refuse_unlike
from carryon.convert.families.shelf import Placed, Shelf, in_order, place
from carryon.convert.plan import FamilyPlan, Part, Rule, Stored
from carryon.convert.pooling import read_pooling
from carryon.convert.write import Setting

BERT = ("BertModel", "BertForMaskedLM")
ROBERTA = ("XLMRobertaModel", "XLMRobertaForMaskedLM", "RobertaModel", "RobertaForMaskedLM")
ARCHITECTURES = (*BERT, *ROBERTA)
GGUF_NAME = "bert"

LAYER = "encoder.layer.{}."
POSITIONS = "embeddings.position_embeddings.weight"
WHOLE = (
    Rule("embeddings.word_embeddings.weight", "token_embd.weight", ("vocab", "hidden")),
    Rule("embeddings.token_type_embeddings.weight", "token_types.weight", ("kinds", "hidden")),
    Rule("embeddings.LayerNorm.weight", "token_embd_norm.weight", ("hidden",)),
    Rule("embeddings.LayerNorm.bias", "token_embd_norm.bias", ("hidden",)),
)
PARTS = (  # each has a weight and a bias
    ("attention.self.query", "attn_q", ("hidden", "hidden")),
    ("attention.self.key", "attn_k", ("hidden", "hidden")),
    ("attention.self.value", "attn_v", ("hidden", "hidden")),
    ("attention.output.dense", "attn_output", ("hidden", "hidden")),
    ("attention.output.LayerNorm", "attn_output_norm", ("hidden",)),
    ("intermediate.dense", "ffn_up", ("feed_forward", "hidden")),
    ("output.dense", "ffn_down", ("hidden", "feed_forward")),
    ("output.LayerNorm", "layer_output_norm", ("hidden",)),
)
LAYERS = tuple(
    Rule(f"{LAYER}{source}.{kind}", f"blk.{{}}.{target}.{kind}", shape if kind == "weight" else shape[:1])
    for source, target, shape in PARTS
    for kind in ("weight", "bias")
)
# The heads for guessing words, for classifying and for the sentence order: an embedding does not pass them.
HEADS = re.compile(r"(pooler|cls|lm_head)\.")
BUILT_IN = {
    "hidden_act": ("gelu", "gelu_new", "gelu_pytorch_tanh"),  # llama.cpp has one form for all
    "position_embedding_type": ("absolute",),
    "is_decoder": (False,),
}


def plan(checkpoint: Checkpoint) -> FamilyPlan:
    """What an encoder of BERT's kind becomes in GGUF. Raises BadFile or Unsupported saying what does not fit."""
    config, shelf = checkpoint.config, Shelf(plain_names(checkpoint.tensors))
    refuse_unlike(config, BUILT_IN, "BERT")
    sizes = _sizes(config, shelf)
    shelf.leave([name for name in shelf.names() if HEADS.match(name)])
    placed = shelf.follow((*WHOLE, *LAYERS), sizes, range(sizes["layers"]))
    tensors = in_order([*placed, _positions(shelf, sizes)])
    shelf.finish()
    pooling = read_pooling(checkpoint.folder)
    settings = {f"{GGUF_NAME}.{key}": value for key, value in _settings(config, sizes).items()}
    settings |= {f"{GGUF_NAME}.pooling_type": pooling.number, "tokenizer.ggml.token_type_count": sizes["kinds"]}
    return FamilyPlan(GGUF_NAME, settings, tensors, sizes["vocab"], pooling.warnings)


def plain_names(tensors: Mapping[str, Source]) -> dict[str, Source]:
    """Names without the prefix that models with a head have, and with PyTorch's words for a norm, not TensorFlow's."""
    return {_plain(name): tensor for name, tensor in tensors.items()}


def _plain(name: str) -> str:
    short = re.sub(r"^(bert|roberta)\.", "", name)
    return re.sub(r"LayerNorm\.beta$", "LayerNorm.bias", re.sub(r"LayerNorm\.gamma$", "LayerNorm.weight", short))


def _positions(shelf: Shelf, sizes: Mapping[str, int]) -> Placed:
    """RoBERTa's first position is the one behind its padding id's; the rows before it are never used."""
    source = shelf.take(POSITIONS, (sizes["positions"] + sizes["unused"], sizes["hidden"]))
    rows = slice(sizes["unused"], None) if sizes["unused"] else None
    return place(source), Stored("position_embd.weight", (sizes["positions"], sizes["hidden"]), (Part(source, rows),))


def _sizes(config: Config, shelf: Shelf) -> dict[str, int]:
    names = config.values.get("architectures", ())
    unused = config.whole("pad_token_id", 1, least=0) + 1 if any(name in ROBERTA for name in names) else 0
    positions, hidden = config.whole("max_position_embeddings", 512), config.whole("hidden_size", 768)
    heads = config.whole("num_attention_heads", 12)
    if positions <= unused or hidden % heads:
        raise BadFile(
            f"config.json gives {positions} positions, {hidden} values and {heads} heads, which cannot be.",
            DOWNLOAD_AGAIN,
        )
    return {
        "vocab": shelf.n_rows("embeddings.word_embeddings.weight"),
        "layers": config.whole("num_hidden_layers", 12),
        "hidden": hidden,
        "heads": heads,
        "feed_forward": config.whole("intermediate_size", 3072),
        "kinds": config.whole("type_vocab_size", 2),
        "positions": positions - unused,
        "unused": unused,
    }


def _settings(config: Config, sizes: Mapping[str, int]) -> dict[str, Setting]:
    return {
        "block_count": sizes["layers"],
        "context_length": sizes["positions"],
        "embedding_length": sizes["hidden"],
        "feed_forward_length": sizes["feed_forward"],
        "attention.head_count": sizes["heads"],
        "attention.layer_norm_epsilon": config.number("layer_norm_eps", 1e-12),
        "attention.causal": False,
    }
