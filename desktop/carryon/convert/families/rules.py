"""Rows of the tables that several families share: Hugging Face's names, llama.cpp's names, and shapes."""

from collections.abc import Sequence

from carryon.convert.plan import Half, Rule

LAYER, BLOCK = "model.layers.{}.", "blk.{}."
EMBEDDING = Rule("model.embed_tokens.weight", "token_embd.weight", ("vocab", "hidden"))
OUTPUT = Rule("lm_head.weight", "output.weight", ("vocab", "hidden"))
OUTPUT_NORM = Rule("model.norm.weight", "output_norm.weight", ("hidden",))
HEAD_NORMS = (
    Rule(LAYER + "self_attn.q_norm.weight", BLOCK + "attn_q_norm.weight", ("head",)),
    Rule(LAYER + "self_attn.k_norm.weight", BLOCK + "attn_k_norm.weight", ("head",)),
)


def layer(theirs: str, ours: str, *shape: str, heads: str = "", is_optional: bool = False) -> Rule:
    """A tensor that every layer has, or may have."""
    return Rule(LAYER + theirs, BLOCK + ours, shape, heads, is_optional)


def norms(**places: str) -> tuple[Rule, ...]:
    """A layer's norms: where llama.cpp has each, and what Hugging Face calls it."""
    return tuple(layer(f"{theirs}.weight", f"{ours}.weight", "hidden") for ours, theirs in places.items())


def attention(*, is_paired: bool = False, biases: Sequence[str] = (), always_biased: bool = False) -> tuple[Rule, ...]:
    """The four matrices. Paired: transformers rotates halves of a head where llama.cpp rotates neighbours."""
    heads = {"q": "heads", "k": "kv_heads"} if is_paired else {}
    shapes = {"q": ("queries", "hidden"), "k": ("keys", "hidden"), "v": ("keys", "hidden"), "o": ("hidden", "queries")}
    ours = {"q": "attn_q", "k": "attn_k", "v": "attn_v", "o": "attn_output"}
    return (
        *(
            layer(f"self_attn.{one}_proj.weight", f"{ours[one]}.weight", *shape, heads=heads.get(one, ""))
            for one, shape in shapes.items()
        ),
        *(
            layer(
                f"self_attn.{one}_proj.bias",
                f"{ours[one]}.bias",
                shapes[one][0],
                heads=heads.get(one, ""),
                is_optional=not always_biased,
            )
            for one in biases
        ),
    )


def gated(
    theirs: str = "mlp", suffix: str = "", size: str = "feed_forward", *, has_biases: bool = False
) -> tuple[Rule, ...]:
    """A feed-forward network of three matrices."""
    shapes = {"gate": (size, "hidden"), "up": (size, "hidden"), "down": ("hidden", size)}
    weights = (layer(f"{theirs}.{one}_proj.weight", f"ffn_{one}{suffix}.weight", *shapes[one]) for one in shapes)
    biases = (
        layer(f"{theirs}.{one}_proj.bias", f"ffn_{one}{suffix}.bias", shapes[one][0], is_optional=True)
        for one in shapes
    )
    return (*weights, *(biases if has_biases else ()))


def halves(theirs: str, suffix: str, *shape: str) -> tuple[Rule, ...]:
    """Gate and up in one tensor, the gate's rows first in each matrix."""
    return (
        Rule(LAYER + theirs, f"{BLOCK}ffn_gate{suffix}.weight", shape, half=Half.FIRST),
        Rule(LAYER + theirs, f"{BLOCK}ffn_up{suffix}.weight", shape, half=Half.SECOND),
    )


def experts(size: str = "expert", *, old: str = "", old_names: Sequence[str] = ()) -> tuple[tuple[Rule, ...], ...]:
    """The ways in which experts are saved: a matrix for each expert and use, or all of them fused.

    `old` and `old_names` are where an architecture of its own keeps them: the module, and gate, up and down.
    """
    module = old or "mlp"
    gate, up, down = old_names or ("gate_proj", "up_proj", "down_proj")
    separate = (
        layer(f"{module}.gate.weight", "ffn_gate_inp.weight", "experts", "hidden"),
        layer(f"{module}.experts.{{expert}}.{gate}.weight", "ffn_gate_exps.weight", size, "hidden"),
        layer(f"{module}.experts.{{expert}}.{up}.weight", "ffn_up_exps.weight", size, "hidden"),
        layer(f"{module}.experts.{{expert}}.{down}.weight", "ffn_down_exps.weight", "hidden", size),
    )
    twice = "gate_and_up" if size == "feed_forward" else f"twice_{size}"
    fused = (
        layer("mlp.gate.weight", "ffn_gate_inp.weight", "experts", "hidden"),
        *halves("mlp.experts.gate_up_proj", "_exps", "experts", twice, "hidden"),
        layer("mlp.experts.down_proj", "ffn_down_exps.weight", "experts", "hidden", size),
    )
    return separate, fused
