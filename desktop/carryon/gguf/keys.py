"""The fields of a model's architecture as the whole numbers they are, one value for the model or one for each layer."""

from dataclasses import dataclass

from carryon.base.errors import BadFile
from carryon.gguf.cursor import DAMAGED_HINT, quoted
from carryon.gguf.header import Header, Scalar

_MOST = 1 << 31
_MOST_LAYERS = 512  # LLAMA_MAX_LAYERS, llama-hparams.h


@dataclass(frozen=True)
class Keys:
    """Reads `<architecture>.<key>`. Raises BadFile where a value cannot be meant."""

    header: Header

    @property
    def architecture(self) -> str:
        return self.header.architecture

    def has(self, key: str) -> bool:
        """Whether the file says anything about it."""
        full = self._full(key)
        return full in self.header.fields or full in self.header.array_lengths

    def number(self, key: str, default: int = 0) -> int:
        """One value; of a list, the first."""
        full = self._full(key)
        if full in self.header.fields:
            return self._whole(full, self.header.fields[full])
        values = self.header.arrays.get(full)
        return self._whole(full, values[0]) if values else default

    def per_layer(self, key: str, n_layers: int, default: int | tuple[int, ...] = 0) -> tuple[int, ...]:
        """One value for each layer, where the file has a list or one for all."""
        full = self._full(key)
        if full in self.header.arrays:
            return self._list(full, n_layers)
        if full in self.header.fields:
            return (self._whole(full, self.header.fields[full]),) * n_layers
        return default if isinstance(default, tuple) else (default,) * n_layers

    def list_of(self, key: str, n_layers: int) -> tuple[int, ...] | None:
        """The values for the first layers, 0 where the list is shorter; None where there is no list."""
        full = self._full(key)
        if full not in self.header.arrays:
            return None
        values = tuple(self._whole(full, one) for one in self.header.arrays[full])
        return (*values, *(0,) * n_layers)[:n_layers]

    def block_counts(self) -> tuple[int, int]:
        """Blocks in the file, and how many of them at the end predict further tokens (NextN, MTP)."""
        n_blocks, n_extra = self.number("block_count"), self.number("nextn_predict_layers")
        if not 0 < n_blocks <= _MOST_LAYERS:
            raise self.refuse(f"it says that it has {n_blocks:,} layers")
        if n_extra > n_blocks:
            raise self.refuse(f"{n_extra} of its {n_blocks} layers are said to predict further tokens")
        return n_blocks, n_extra

    def within_layers(self, key: str, n_layers: int) -> int:
        """How often so many layers are gone through, which together may not be more than the engine allows."""
        times = max(self.number(key, 1), 1)
        if times * n_layers > _MOST_LAYERS:
            raise self.refuse(f"it says that it has {times * n_layers:,} layers")
        return times

    def refuse(self, what: str) -> BadFile:
        """The error that names the file; `what` says what is wrong with it."""
        return BadFile(f"{self.header.file_name} is damaged: {what}.", DAMAGED_HINT)

    def _full(self, key: str) -> str:
        return f"{self.architecture}.{key}"

    def _list(self, full: str, n_layers: int) -> tuple[int, ...]:
        values = self.header.arrays[full]
        if len(values) < n_layers:
            raise self.refuse(f"its field {quoted(full)} has {len(values)} values for {n_layers} layers")
        return tuple(self._whole(full, one) for one in values[:n_layers])

    def _whole(self, full: str, value: Scalar) -> int:
        if not isinstance(value, int) or not 0 <= value < _MOST:
            raise self.refuse(f"its field {quoted(full)} has an impossible value ({value})")
        return int(value)
