"""The graph of a layer by the tensors that it has: attention of every make, a dense feed-forward or experts.

The order of operations is that of llama-graph.cpp (build_attn, build_ffn, build_moe_ffn) and of src/models/*.cpp in
llama.cpp 0c1e57098. Operations that overwrite their only source (norm, bias, scale) need nothing and are left out.
All work is in single precision: 4 bytes for each number.
"""

import functools
from collections.abc import Iterable
from functools import lru_cache

from carryon.fit.working.anatomy import Anatomy, key_rotation_bytes, value_rotation_bytes
from carryon.fit.working.flow import Flow, Move, Program, Value, Width

F32, I32, F16 = 4, 4, 2
_ADDS_TO_RESIDUAL = ("phi3", "phimoe")  # their last sum is written over the residual, not over the feed-forward
# Where other architectures drop the tokens that need no answer behind the last attention, these do it at the very end.
_ANSWER_LATE = frozenset((
    "gpt-oss", "gemma3n", "gemma4", "qwen3next", "qwen35", "qwen35moe", "nemotron_h", "nemotron_h_moe", "mimo2",
    "step35", "cohere2moe", "bailingmoe3", "hrm_text", "hy_v3", "hy_v4", "deepseek4",
))  # fmt: skip

_BOTH_AT_ONCE = frozenset(("command-r", "cohere2", "cohere2moe", "phi2", "plamo", "gptj", "stablelm"))


@lru_cache(maxsize=8192)
def layer_program(anatomy: Anatomy) -> Program:
    """A layer that is computed on one device. Slot 0: its input. Equal layers of all quants share one program."""
    return _Layer(anatomy).whole()


@lru_cache(maxsize=4096)
def after_gpu_layer(anatomy: Anatomy) -> Program:
    """A layer behind one on another GPU. Given: a copy of its input, and one of it normed, made by the GPU before."""
    return _Layer(anatomy, is_normed=True).whole()


@lru_cache(maxsize=4096)
def layer_without_experts(anatomy: Anatomy) -> Program:
    """A layer whose experts are computed elsewhere: what they make comes back as a copy."""
    return _Layer(anatomy).whole(experts_are_here=False) if anatomy.has_experts else layer_program(anatomy)


@lru_cache(maxsize=4096)
def experts_alone(anatomy: Anatomy) -> Program:
    """The experts of a layer that lies elsewhere, with copies of what they read."""
    return _Layer(anatomy).experts_alone()


@lru_cache(maxsize=4096)
def stored_alone(anatomy: Anatomy) -> Program:
    """The cache of a layer that is computed elsewhere: copies of its new keys and values."""
    flow = Flow()
    fused = {name: rows for name, rows, _ in anatomy.matrices}.get("attn_qkv", 0)
    keys, values = (anatomy.n_kv_heads * length for length in (anatomy.key_length, anatomy.value_length))
    wanted = (keys, fused or values) if values else (keys,)  # V in a fused tensor is as far apart as that is wide
    made = [flow.make(Width(per_token=F32 * numbers)) for numbers in wanted]
    flow.read(*made)
    return flow.program(0)


@lru_cache(maxsize=4096)
def after_ram_layer(before: Anatomy) -> Program:
    """How the next device goes on behind this layer: given copies of what the layer sums up at its end, the sum."""
    return _Layer(before).taken_over()


@lru_cache(maxsize=64)
def embedding(n_embd: int) -> Program:
    """The tokens' embeddings, in RAM."""
    return Program((), (Move(0, Width(per_token=F32 * n_embd), is_taken=True),), 0)


@lru_cache(maxsize=64)
def handed_over(n_embd: int) -> Program:
    """The last layer's output is copied to the next device."""
    return _given_back(Width(per_token=F32 * n_embd))


@lru_cache(maxsize=64)
def answers_handed_over(n_embd: int) -> Program:
    """To a device with nothing but the output layer come only the rows whose answers are wanted."""
    return _given_back(Width(per_output=F32 * n_embd))


def _given_back(width: Width) -> Program:
    return Program((width,), (Move(0, width, is_taken=False),), 0)


class _Layer:
    """Writes down one layer."""

    def __init__(self, anatomy: Anatomy, *, is_normed: bool = False) -> None:
        self.anatomy = anatomy
        self.rows = {name: rows for name, rows, _ in anatomy.matrices}
        self.staged = dict(anatomy.staged)
        self.columns = {name: columns for name, _, columns in anatomy.matrices}
        self.is_cut = False  # only output rows from here on
        self.flow = Flow([self._wide(anatomy.n_embd)] * (1 + is_normed))
        self.is_normed = is_normed
        self.arrived: set[str] = set()

    def whole(self, *, experts_are_here: bool = True) -> Program:
        """Attention, its sum with the input, feed-forward, its sum with that."""
        normed = 1 if self.is_normed else self._normed(0, "attn_norm")
        if self.anatomy.architecture in _BOTH_AT_ONCE and "ffn_norm" not in self.rows:
            return self._both_at_once(normed, experts_are_here)
        inside, residual = self._cut(self._attention(normed), 0)
        residual = self._sum(inside, residual)
        fed = self._fed(self._normed(residual, *self._norms_between()), experts_are_here)
        is_over_residual = self.anatomy.architecture in _ADDS_TO_RESIDUAL
        return self.flow.program(self._sum(residual, fed) if is_over_residual else self._sum(fed, residual))

    def _both_at_once(self, normed: Value, experts_are_here: bool) -> Program:
        """Attention and feed-forward beside each other: the norm is kept for the second one."""
        inside, residual, normed = self._cut(self._attention(normed), 0, normed)
        fed = self._fed(normed, experts_are_here)
        return self.flow.program(self._sum(self._sum(fed, residual), inside))

    def experts_alone(self) -> Program:
        """Only the matrices of the experts."""
        normed = self._make(self.anatomy.n_embd)
        chosen = self._make(self.rows["ffn_gate_inp"])
        self.flow.read(self._expert_outputs(normed, chosen))
        return self.flow.program(0)

    def taken_over(self) -> Program:
        """The device of a sum is that of the layer behind, so its terms are copied: of experts every one's output."""
        self.is_cut = self._is_cut_at_end()
        embd, n_used = self._wide(self.anatomy.n_embd), self.anatomy.n_used
        if "ffn_gate_inp" in self.rows and "ffn_up_shexp" not in self.rows:
            self.flow = Flow([self._wide(n_used * self.anatomy.n_embd), self._wide(n_used), embd])
            return self.flow.program(self._sum(self._make(self.anatomy.n_embd, 0, 1), 2))
        n_terms = 3 if "ffn_up_shexp" in self.rows else 2
        self.flow = Flow([embd] * n_terms)
        return self.flow.program(functools.reduce(self._sum, range(n_terms)))

    def _fed(self, normed: Value, experts_are_here: bool) -> Value:
        if "ffn_gate_inp" in self.rows:
            return self._experts(normed, experts_are_here)
        return self._dense(normed)

    def _norms_between(self) -> tuple[str, ...]:
        """post_attention_norm is the norm before the feed-forward, unless that has norms of its own (Gemma, OLMo 2)."""
        return ("ffn_norm",) if "post_ffw_norm" in self.rows else ("ffn_norm", "post_attention_norm")

    def _normed(self, value: Value, *names: str) -> Value:
        for name in names:
            if name in self.rows:
                normed = self._make(self.anatomy.n_embd, value)
                self._applied(name)
                return normed
        return value

    def _cut(self, *values: Value) -> tuple[Value, ...]:
        """In the last layer, the rows of the tokens whose answers are wanted."""
        self.is_cut = self._is_cut_at_end()
        if not self.is_cut:
            return values
        return tuple(self._make(self.anatomy.n_embd, value) for value in values)

    def _is_cut_at_end(self) -> bool:
        return self.anatomy.is_last and self.anatomy.architecture not in _ANSWER_LATE

    def _attention(self, normed: Value) -> Value:
        if "attn_k_b" in self.rows:
            return self._latent(normed)
        if "attn_qkv" in self.rows and self.anatomy.n_heads:
            return self._fused(normed)
        if "attn_q" in self.rows:
            return self._separate(normed)
        return self._recurrent(normed)

    def _separate(self, normed: Value) -> Value:
        query = self._key_like("attn_q", normed)
        made: dict[str, Value] = {}
        for name in ("attn_v", "attn_k") if self.anatomy.values_first else ("attn_k", "attn_v"):
            if name in self.rows:
                is_key = name == "attn_k"
                made[name] = self._key_like(name, normed) if is_key else self._turned_value(self._matrix(name, normed))
        self.flow.read(*(made[name] for name in ("attn_k", "attn_v") if name in made))
        return self._attended(query)

    def _key_like(self, name: str, normed: Value) -> Value:
        """Norm or RoPE of the heads: a reshaped tensor is a view, and views are never written over."""
        value = self._matrix(name, normed)
        if f"{name}_norm" in self.rows:
            value = self._like(value)
            self._applied(f"{name}_norm")
            self._position()
            return self._turned_key(value)
        self._position()
        return self._turned_key(self._like(value))

    def _fused(self, normed: Value) -> Value:
        """Q and K leave the fused tensor by RoPE; V is stored from where it lies."""
        anatomy = self.anatomy
        fused = self._matrix("attn_qkv", normed)
        self._position()
        query = self._turned_key(self._make(anatomy.n_heads * anatomy.key_length, fused))
        value = self._make(anatomy.n_kv_heads * anatomy.value_length, fused) if anatomy.rotates_values else fused
        self._position()
        key = self._turned_key(self._make(anatomy.n_kv_heads * anatomy.key_length, fused))
        self.flow.read(key, value)
        return self._attended(query)

    def _attended(self, query: Value) -> Value:
        n_values = self.anatomy.n_heads * self.anatomy.value_length
        return self._matrix("attn_output", self._turned_value(self._looked_up(n_values, query)))

    def _latent(self, normed: Value) -> Value:
        """MLA with the absorbed matrices, src/models/deepseek2.cpp; the cache holds the compressed rows."""
        heads = self.anatomy.n_heads
        latent = self.rows["attn_k_b"] // heads
        rope = self.anatomy.key_length - latent
        low = self._matrix("attn_q_a", normed) if "attn_q_a" in self.rows else normed
        query = self._matrix("attn_q_b" if "attn_q_b" in self.rows else "attn_q", low)
        absorbed = self._matrix("attn_k_b", query)
        self._position()
        query = self._make(heads * (latent + rope), absorbed, self._make(heads * rope, query))
        compressed = self._matrix("attn_kv_a_mqa", normed)
        parts = self._make(latent, compressed), self._make(rope, compressed)
        self.flow.read(self._make(latent + rope, *parts))
        values = self._matrix("attn_v_b", self._looked_up(heads * latent, query))
        return self._matrix("attn_output", self._like(values))

    def _recurrent(self, normed: Value) -> Value:
        """A state instead of a cache: projection, convolution, scan. An estimate: every family has its own."""
        own = (rows for name, rows in self.rows.items() if not name.startswith("ffn"))
        wide = max(own, default=self.anatomy.n_embd)
        projected = self._make(wide, normed)
        convolved = self._make(wide, projected)
        return self._make(self.anatomy.n_embd, self._make(wide, convolved, projected))

    def _dense(self, normed: Value, kind: str = "") -> Value:
        """Gate and up beside each other, both in one matrix (Phi-3), or only up."""
        up, gate, down = (f"ffn_{part}{kind}" for part in ("up", "gate", "down"))
        if up not in self.rows:
            return self._make(self.anatomy.n_embd, normed)
        if gate in self.rows:
            active = self._make(self.rows[up], self._matrix(gate, normed), self._matrix(up, normed))
        else:
            active = self._matrix(up, normed)
            if self.rows[up] == 2 * self.columns[down]:
                active = self._make(self.columns[down], active)
        return self._matrix(down, active)

    def _experts(self, normed: Value, are_here: bool) -> Value:
        chosen, weights = self._routed(normed)
        if are_here:
            outputs = self._expert_outputs(normed, chosen)
        else:
            self.flow.read(normed, chosen)
            outputs = self._make(self.anatomy.n_used * self.anatomy.n_embd)
        mixed = self._make(self.anatomy.n_embd, outputs, weights)
        if "ffn_up_shexp" not in self.rows:
            return mixed
        return self._make(self.anatomy.n_embd, mixed, self._dense(normed, "_shexp"), onto=(mixed,))

    def _routed(self, normed: Value) -> tuple[Value, Value]:
        """The numbers of the chosen experts, sorted among all of them, and their weights."""
        scores = self._matrix("ffn_gate_inp", normed)
        chosen = self._like(self._like(scores) if "exp_probs_b.bias" in self.rows else scores)
        return chosen, self._make(self.anatomy.n_used, scores, chosen)

    def _expert_outputs(self, normed: Value, chosen: Value) -> Value:
        n_used = self.anatomy.n_used
        if "ffn_gate_up_exps" in self.rows:
            both = self.rows["ffn_gate_up_exps"]
            active = self._make(n_used * both // 2, self._of_experts("ffn_gate_up_exps", n_used * both, normed, chosen))
        else:
            wide = n_used * self.rows.get("ffn_up_exps", self.anatomy.n_embd)
            gate = self._of_experts("ffn_gate_exps", wide, normed, chosen)
            active = self._make(wide, gate, self._of_experts("ffn_up_exps", wide, normed, chosen))
        return self._of_experts("ffn_down_exps", n_used * self.anatomy.n_embd, active, chosen)

    def _of_experts(self, name: str, numbers: int, *sources: Value) -> Value:
        copied = self._copied(name)
        made = self._make(numbers, *sources, *copied)
        self._applied(f"{name}.bias")
        return made

    def _sum(self, term: Value, other: Value) -> Value:
        return self._make(self.anatomy.n_embd, term, other, onto=(term, other))

    def _turned_key(self, value: Value) -> Value:
        """Rotated for a quantized cache."""
        if not self.anatomy.rotates_keys:
            return value
        if self.anatomy.is_first_of_cache:
            self._arrive_once("key rotation", Width(fixed=key_rotation_bytes(self.anatomy.key_length)))
        return self._like(value)

    def _turned_value(self, value: Value) -> Value:
        if not self.anatomy.rotates_values:
            return value
        if self.anatomy.is_first_of_cache:
            self._arrive_once("value rotation", Width(fixed=value_rotation_bytes(self.anatomy.value_length)))
        return self._like(value)

    def _like(self, value: Value) -> Value:
        width = self.flow.widths[value]
        return self.flow.make(Width(per_token=width.per_token, per_output=width.per_output), value)

    def _matrix(self, name: str, *sources: Value) -> Value:
        copied = self._copied(name)
        made = self._make(self.rows.get(name, self.anatomy.n_embd), *sources, *copied)
        self._applied(f"{name}.bias")
        return made

    def _copied(self, name: str) -> tuple[Value, ...]:
        """A tensor in RAM is copied for the one operation that needs it."""
        if name not in self.staged:
            return ()
        self.flow.begin_split()
        return (self.flow.arrive(Width(fixed=self.staged[name])),)

    def _applied(self, name: str) -> None:
        """A norm or a bias: what is there is overwritten."""
        self.flow.read(*self._copied(name))

    def _position(self) -> None:
        """RoPE needs the positions, and some models factors for them."""
        if self.staged and self.anatomy.has_rope_factors:
            self.flow.begin_split()
        if self.anatomy.is_first_staged:
            self._arrive_once("positions", Width(per_token=I32))

    def _arrive_once(self, what: str, width: Width) -> None:
        if what not in self.arrived:
            self.arrived.add(what)
            self.flow.arrive(width)

    def _looked_up(self, numbers: int, query: Value) -> Value:
        """Flash attention; a cache in RAM is copied for it, and the mask for the first layer that looks at it."""
        window = self.anatomy.window
        if self.anatomy.staged_rows:
            self.flow.begin_split()
        cache = [self.flow.arrive(Width(per_cell=row, window=window)) for row in self.anatomy.staged_rows]
        if self.anatomy.is_first_of_cache:
            self._arrive_once("mask", Width(per_mask=F16, window=window))
        scratch, fixed = self.anatomy.scratch, self.anatomy.scratch_fixed
        if self.anatomy.scratch_mask:
            self.flow.read(self.flow.make(Width(per_mask=self.anatomy.scratch_mask, window=window)))
        width = Width(per_token=F32 * numbers, per_cell=scratch, window=window, fixed=fixed)
        return self.flow.make(width, query, *cache)

    def _make(self, numbers: int, *sources: Value, onto: Iterable[Value] = ()) -> Value:
        return self.flow.make(self._wide(numbers), *sources, onto=tuple(onto))

    def _wide(self, numbers: int) -> Width:
        return Width(per_output=F32 * numbers) if self.is_cut else Width(per_token=F32 * numbers)
