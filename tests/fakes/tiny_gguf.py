"""Tiny models for tests: real GGUF files that the real engine loads, made in milliseconds.

`speaking_model` says the words it is given, one after the other (a chain: each token has one successor), so a test can
know every word of the answer. `random_model` has random weights and true attention: what it says has no meaning,
but depends on everything that it was told.
"""

import gguf
import numpy as np

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
CONTROL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
COUNTING = [" one", " two", " three", " four", " five", " six", " seven", " eight", " nine", " ten"]


def byte_alphabet():
    """GPT-2's printable stand-in for each of the 256 bytes, in byte order."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = iter(range(256, 512))
    return [chr(byte if byte in printable else next(hidden)) for byte in range(256)]


class Vocabulary:
    """256 bytes, whole words, and ChatML's control tokens last."""

    def __init__(self, words=(), control=CONTROL):
        letters = byte_alphabet()
        self.words = words
        self.texts = [*letters, *("".join(letters[b] for b in word.encode()) for word in words), *control]
        self.types = [gguf.TokenType.NORMAL] * 256 + [gguf.TokenType.USER_DEFINED] * len(words)
        self.types += [gguf.TokenType.CONTROL] * len(control)
        # a user-defined token is looked for in the plain text, so it is kept as plain text
        self.texts[256 : 256 + len(words)] = words
        self.ids = {text: index for index, text in enumerate(self.texts)}
        self.ids["\n"] = 10

    def __len__(self):
        return len(self.texts)

    def add_to(self, writer, template, add_bos=False):
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre("gpt-2")
        writer.add_token_list(self.texts)
        writer.add_token_types(self.types)
        writer.add_token_merges([f"{byte_alphabet()[104]} {byte_alphabet()[101]}"])  # BPE needs one: "h e"
        writer.add_bos_token_id(self.ids["<|endoftext|>"])
        writer.add_eos_token_id(self.ids["<|im_end|>"])
        writer.add_add_bos_token(add_bos)
        if template:
            writer.add_chat_template(template)


class Shape:
    """The sizes of a Llama-like model."""

    def __init__(self, layers=2, hidden=256, feed_forward=512, heads=4, context=4096, window=0, seed=1):
        self.layers, self.hidden, self.feed_forward, self.heads = layers, hidden, feed_forward, heads
        self.context, self.window, self.seed = context, window, seed


def speaking_model(path, words=COUNTING, then="<|im_end|>", template=CHATML, shape=None, sharpness=1.0, **options):
    """A model that says `words` after a line break, then the token `then` (a word in it: it goes round for ever).

    Words in `spelled` are said byte by byte; no byte may occur twice.
    """
    shape = shape or Shape()
    spelled = options.pop("spelled", ())
    whole = [word for word in words if len(word.encode()) > 1 and word not in spelled]
    vocabulary = Vocabulary(whole, options.pop("control", CONTROL))
    chain = [vocabulary.ids[token] for word in words for token in tokens_of(word, vocabulary)]
    said = np.random.default_rng(shape.seed).standard_normal((len(vocabulary), shape.hidden)).astype(np.float32)
    heard = np.zeros_like(said)
    for before, after in zip([vocabulary.ids["\n"], *chain], [*chain, vocabulary.ids[then]], strict=True):
        heard[after] += said[before] * sharpness
    tensors = random_tensors(shape, said, heard)
    for name in tensors:
        if name.endswith(("attn_output.weight", "ffn_down.weight")):
            tensors[name] = np.zeros_like(tensors[name])  # the stream stays the last token's embedding
    return write(path, shape, vocabulary, template, tensors, **options)


def random_model(path, words=COUNTING, template=CHATML, shape=None, **options):
    """A model with random weights; logits are spread wide, so greedy decoding does not hang on rounding."""
    shape = shape or Shape()
    vocabulary = Vocabulary(words, options.pop("control", CONTROL))
    random = np.random.default_rng(shape.seed)
    said, heard = random.standard_normal((2, len(vocabulary), shape.hidden)).astype(np.float32)
    heard[-len(CONTROL) :] = 0  # it never says a control token, so it never ends by itself
    return write(path, shape, vocabulary, template, random_tensors(shape, said, heard), **options)


def asserting_model(path):
    """A file that loads and then breaks a rule of llama.cpp: keys and values of unlike size, a true GGML_ASSERT."""
    shape, vocabulary = Shape(), Vocabulary(COUNTING)
    said, heard = np.random.default_rng(1).standard_normal((2, len(vocabulary), shape.hidden)).astype(np.float32)
    tensors = random_tensors(shape, said, heard)
    for layer in range(shape.layers):
        tensors[f"blk.{layer}.attn_v.weight"] = tensors[f"blk.{layer}.attn_v.weight"][: shape.hidden // 2]

    def head_sizes(writer):
        writer.add_key_length(shape.hidden // shape.heads)
        writer.add_value_length(shape.hidden // shape.heads // 2)

    return write(path, shape, vocabulary, CHATML, tensors, extra=head_sizes)


def windowed_model(path, window=64):
    """A model like Gemma 3: five of its six layers see only the last `window` tokens."""
    shape = Shape(layers=6, window=window)
    vocabulary = Vocabulary(COUNTING)
    said, heard = np.random.default_rng(3).standard_normal((2, len(vocabulary), shape.hidden)).astype(np.float32)
    heard[-len(CONTROL) :] = 0
    tensors = random_tensors(shape, said, heard)
    for layer in range(shape.layers):
        for name, size in (
            ("post_attention_norm", shape.hidden), ("post_ffw_norm", shape.hidden),
            ("attn_q_norm", shape.hidden // shape.heads), ("attn_k_norm", shape.hidden // shape.heads),
        ):
            tensors[f"blk.{layer}.{name}.weight"] = np.ones(size, np.float32)

    def head_sizes(writer):
        writer.add_key_length(shape.hidden // shape.heads)
        writer.add_value_length(shape.hidden // shape.heads)

    return write(path, shape, vocabulary, CHATML, tensors, "gemma3", extra=head_sizes)


def recurrent_model(path):
    """A model like Mamba: it has a state and no cache, so it cannot go back."""
    shape, inner, state, rank, kernel = Shape(layers=2), 512, 16, 16, 4
    vocabulary = Vocabulary(COUNTING)
    random = np.random.default_rng(5)
    said, heard = random.standard_normal((2, len(vocabulary), shape.hidden)).astype(np.float32)
    heard[-len(CONTROL) :] = 0
    tensors = {"token_embd.weight": said, "output_norm.weight": np.ones(shape.hidden, np.float32),
               "output.weight": heard}
    for layer in range(shape.layers):
        for name, sizes in (
            ("ssm_in.weight", (2 * inner, shape.hidden)), ("ssm_conv1d.weight", (inner, kernel)),
            ("ssm_conv1d.bias", (inner,)), ("ssm_x.weight", (rank + 2 * state, inner)),
            ("ssm_dt.weight", (inner, rank)), ("ssm_dt.bias", (inner,)), ("ssm_d", (inner,)),
            ("ssm_out.weight", (shape.hidden, inner)),
        ):
            tensors[f"blk.{layer}.{name}"] = (random.standard_normal(sizes) / sizes[-1] ** 0.5).astype(np.float32)
        tensors[f"blk.{layer}.attn_norm.weight"] = np.ones(shape.hidden, np.float32)
        tensors[f"blk.{layer}.ssm_a"] = -np.abs(random.standard_normal((inner, state))).astype(np.float32)

    def sizes_of_the_state(writer):
        writer.add_ssm_conv_kernel(kernel)
        writer.add_ssm_inner_size(inner)
        writer.add_ssm_state_size(state)
        writer.add_ssm_time_step_rank(rank)

    single = {name for name in tensors if name.endswith(("ssm_conv1d.weight", "ssm_a"))}
    return write(path, shape, vocabulary, CHATML, tensors, "mamba", extra=sizes_of_the_state, single=single)


def tokens_of(word, vocabulary):
    return [word] if word in vocabulary.words else [byte_alphabet()[byte] for byte in word.encode()]


def random_tensors(shape, said, heard):
    random = np.random.default_rng(shape.seed + 1)

    def matrix(rows, columns):
        return (random.standard_normal((rows, columns)) / columns**0.5).astype(np.float32)

    ones = np.ones(shape.hidden, np.float32)
    tensors = {"token_embd.weight": said, "output_norm.weight": ones, "output.weight": heard}
    for layer in range(shape.layers):
        for name, rows, columns in (
            ("attn_q", shape.hidden, shape.hidden),
            ("attn_k", shape.hidden, shape.hidden),
            ("attn_v", shape.hidden, shape.hidden),
            ("attn_output", shape.hidden, shape.hidden),
            ("ffn_gate", shape.feed_forward, shape.hidden),
            ("ffn_up", shape.feed_forward, shape.hidden),
            ("ffn_down", shape.hidden, shape.feed_forward),
        ):
            tensors[f"blk.{layer}.{name}.weight"] = matrix(rows, columns)
        for name in ("attn_norm", "ffn_norm"):
            tensors[f"blk.{layer}.{name}.weight"] = ones
    return tensors


def write(
    path, shape, vocabulary, template, tensors, architecture="llama", add_bos=False, context=None, extra=None, single=()
):
    """Writes the file and returns its path; `extra` is called with the writer for whatever else a test needs.

    Matrices are stored as half floats; those of bytes are Q4_K already.
    """
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_name("Tiny")
    writer.add_block_count(shape.layers)
    writer.add_context_length(shape.context if context is None else context)
    writer.add_embedding_length(shape.hidden)
    writer.add_feed_forward_length(shape.feed_forward)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(shape.hidden // shape.heads)
    writer.add_vocab_size(len(vocabulary))
    if shape.window:
        writer.add_sliding_window(shape.window)
    vocabulary.add_to(writer, template, add_bos)
    if extra:
        extra(writer)
    for name, tensor in tensors.items():
        if tensor.dtype == np.uint8:
            writer.add_tensor(name, tensor, raw_dtype=gguf.GGMLQuantizationType.Q4_K)
            continue
        is_matrix = tensor.ndim == 2 and name not in single
        writer.add_tensor(name, tensor.astype(np.float16) if is_matrix else tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
