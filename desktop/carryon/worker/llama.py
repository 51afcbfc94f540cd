"""A loaded model and its context: thin objects over the C API, for the one thread that owns them."""

import ctypes
import os
from array import array
from collections.abc import Callable, Sequence
from typing import Any

from carryon.worker.capi import L, ProgressCallback
from carryon.worker.parameters import ModelParameters, Placing, Sizing, context_parameters
from carryon.worker.vocabulary import Vocabulary

ABORTED, NO_ROOM = 2, 1  # answers of llama_decode


class LoadFailed(Exception):
    """The engine gave no model or no context; its log has the reason."""


class Model:
    """The weights and the vocabulary of one GGUF file."""

    def __init__(self, handle: Any, placing: Placing) -> None:
        self.handle = handle
        self.placing = placing
        self.vocabulary = Vocabulary(handle)
        # blocks for guessing several words ahead are not loaded, but they count where layers are offloaded
        self.n_layers: int = L.llama_model_n_layer(handle) + L.llama_model_n_layer_nextn(handle)
        self.n_embd: int = L.llama_model_n_embd(handle)
        self.n_ctx_train: int = L.llama_model_n_ctx_train(handle)
        self.n_swa: int = L.llama_model_n_swa(handle)

    @classmethod
    def load(
        cls, path: str, placing: Placing, *, is_plan: bool = False,
        on_progress: Callable[[float], None] = lambda _: None,
    ) -> "Model":
        """Reads the file; blocks until it is loaded. A plan reads only the header. Raises LoadFailed."""
        parameters = ModelParameters(placing, is_plan=is_plan)
        callback = ProgressCallback(_calling(on_progress))
        parameters.struct.progress_callback = callback
        handle = L.llama_model_load_from_file(os.fsencode(path), parameters.struct)
        if not handle:
            raise LoadFailed
        return cls(handle, placing)

    @property
    def n_offloaded(self) -> int:
        """How many layers lie on GPUs, the output layer included; a negative request means all."""
        all_layers = self.n_layers + 1
        asked = self.placing.n_gpu_layers
        return all_layers if asked < 0 else min(asked, all_layers)

    @property
    def n_experts(self) -> int:
        """Experts of a layer; 0 in a dense model."""
        count = self._of_architecture("expert_count")
        return int(count) if count and count.isdecimal() else 0

    @property
    def n_kv_heads(self) -> int:
        """Heads of a layer's cache; where layers differ, as if each had all heads."""
        is_uniform = self._of_architecture("attention.head_count_kv") is not None
        return int(L.llama_model_n_head_kv(self.handle) if is_uniform else L.llama_model_n_head(self.handle))

    @property
    def head_sizes(self) -> tuple[int, int]:
        """Numbers in one key and in one value."""
        usual = L.llama_model_n_embd(self.handle) // max(L.llama_model_n_head(self.handle), 1)
        key, value = (self._of_architecture(f"attention.{name}_length") for name in ("key", "value"))
        return int(key or usual), int(value or usual)

    @property
    def architecture(self) -> str:
        return self.metadata("general.architecture") or ""

    @property
    def description(self) -> str:
        """Kind, size and quant in llama.cpp's words, such as 'llama 1B Q4_K - Medium'."""
        return _string(lambda buffer, size: L.llama_model_desc(self.handle, buffer, size))

    @property
    def size_bytes(self) -> int:
        return int(L.llama_model_size(self.handle))

    @property
    def n_parameters(self) -> int:
        return int(L.llama_model_n_params(self.handle))

    @property
    def chat_template(self) -> str | None:
        """The template in the file, in jinja; None if it has none."""
        template = L.llama_model_chat_template(self.handle, None)
        return template.decode("utf-8", "replace") if template else None

    def metadata(self, key: str) -> str | None:
        """One value of the file's header as text; None if the key is absent."""
        encoded = key.encode()
        if L.llama_model_meta_val_str(self.handle, encoded, None, 0) < 0:
            return None
        return _string(lambda buffer, size: L.llama_model_meta_val_str(self.handle, encoded, buffer, size))

    def free(self) -> None:
        """Gives the memory back; nothing of the model may be used after it."""
        L.llama_model_free(self.handle)

    def _of_architecture(self, key: str) -> str | None:
        return self.metadata(f"{self.architecture}.{key}")

    def why_it_cannot_chat(self) -> str | None:
        """A model that loads but cannot continue a text, in a few words; None for one that can."""
        if L.llama_model_has_encoder(self.handle):
            return "it has an encoder (translation or embedding model)"
        if L.llama_model_is_diffusion(self.handle):
            return "it is a diffusion model"
        if not self.vocabulary.has_text:
            return "its file has no tokenizer"
        return None


class Context:
    """The working memory of a model: KV cache, batch and abort flag, made once."""

    def __init__(self, model: Model, sizing: Sizing) -> None:
        """Raises LoadFailed."""
        self.handle = L.llama_init_from_model(model.handle, context_parameters(sizing))
        if not self.handle:
            raise LoadFailed
        self.n_ctx: int = L.llama_n_ctx(self.handle)
        self.n_swa = model.n_swa
        self.chunk: int = L.llama_n_ubatch(self.handle)
        self.memory = L.llama_get_memory(self.handle)
        self.abort = AbortFlag()
        self.abort.attach(self.handle)
        self._batch = Batch(self.chunk)

    def decode(self, tokens: Sequence[int], position: int, *, wants_logits: bool) -> int:
        """Adds up to `chunk` tokens from this position on; llama_decode's answer: 0 fine, 1 full, 2 aborted."""
        self._batch.fill(tokens, position, wants_logits)
        return int(L.llama_decode(self.handle, self._batch.struct))

    def decode_one(self, token: int, position: int) -> int:
        """Adds one token and asks for what follows it; the path that runs for every word of an answer."""
        batch = self._batch
        batch.tokens[0] = token
        batch.positions[0] = position
        batch.outputs[0] = 1
        batch.struct.n_tokens = 1
        return int(L.llama_decode(self.handle, batch.struct))

    def n_cached(self) -> int:
        """How many positions the memory holds, from the start."""
        return int(L.llama_memory_seq_pos_max(self.memory, 0)) + 1

    def keep_prefix(self, n_keep: int, n_cached: int) -> int:
        """Forgets everything after the first `n_keep` tokens; returns how many of them really stay.

        A sliding window forgets early tokens: rolling back behind it answers True and then speaks nonsense,
        so the rule of llama.cpp's server applies (server-context.cpp: pos_min against n_swa). A recurrent model
        cannot go back at all and says so.
        """
        if n_keep > 0 and self._can_go_back(n_keep, n_cached) and L.llama_memory_seq_rm(self.memory, 0, n_keep, -1):
            return n_keep
        self.clear()
        return 0

    def free(self) -> None:
        """Gives the memory back."""
        self._batch.free()
        L.llama_free(self.handle)

    def clear(self) -> None:
        """Forgets everything."""
        L.llama_memory_clear(self.memory, False)

    def _can_go_back(self, n_keep: int, n_cached: int) -> bool:
        if n_keep == n_cached or not self.n_swa:
            return True
        first = L.llama_memory_seq_pos_min(self.memory, 0)
        return bool(first == 0 or 0 <= first < n_keep - self.n_swa)


class Batch:
    """One llama_batch for one sequence, written in place: nothing is allocated per token."""

    def __init__(self, capacity: int) -> None:
        self.struct = L.llama_batch_init(capacity, 0, 1)
        self.tokens, self.positions, self.outputs = self.struct.token, self.struct.pos, self.struct.logits
        for index in range(capacity):
            self.struct.n_seq_id[index] = 1
            self.struct.seq_id[index][0] = 0

    def fill(self, tokens: Sequence[int], position: int, wants_logits: bool) -> None:
        count = len(tokens)
        _copy(array("i", tokens), self.tokens)
        _copy(array("i", range(position, position + count)), self.positions)
        _copy(array("b", bytes(count)), self.outputs)
        self.outputs[count - 1] = int(wants_logits)
        self.struct.n_tokens = count

    def free(self) -> None:
        L.llama_batch_free(self.struct)


class AbortFlag:
    """Stops a running llama_decode on the CPU from any thread.

    libc's strlen on a two-byte buffer is a native `bool f(void *)`: the compute threads never wait for Python.
    GPUs have no such callback; there the flag is looked at between two chunks.
    """

    def __init__(self) -> None:
        libc = ctypes.CDLL(None) if os.name != "nt" else ctypes.CDLL("ucrtbase")
        self._buffer = ctypes.create_string_buffer(2)
        self._callback = L.ggml_abort_callback(ctypes.cast(libc.strlen, ctypes.c_void_p).value)

    def attach(self, context: Any) -> None:
        L.llama_set_abort_callback(context, self._callback, ctypes.cast(self._buffer, ctypes.c_void_p))

    def set(self) -> None:
        self._buffer[0] = b"\x01"

    def clear(self) -> None:
        self._buffer[0] = b"\x00"


def _calling(on_progress: Callable[[float], None]) -> Callable[[float, Any], bool]:
    def hear(fraction: float, _user_data: Any) -> bool:
        try:  # an exception must never travel into C
            on_progress(fraction)
        except Exception:
            return False
        return True

    return hear


def _copy(source: "array[int]", target: Any) -> None:
    address, count = source.buffer_info()
    ctypes.memmove(target, address, count * source.itemsize)


def _string(read: Callable[[Any, int], int]) -> str:
    """The text that a C function writes into a buffer; it answers the full length, so a second call may be needed."""
    size = 256
    while True:
        buffer = ctypes.create_string_buffer(size)
        length = read(buffer, size)
        if length < size:
            return buffer.value.decode("utf-8", "replace")
        size = length + 1
