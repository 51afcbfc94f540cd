"""Which layers look back on a window of tokens only: by the file's pattern, or by the habit of the architecture."""

from dataclasses import dataclass

from carryon.gguf.keys import Keys

_PATTERN, _WINDOW = "attention.sliding_window_pattern", "attention.sliding_window"


@dataclass(frozen=True)
class Habit:
    """How an architecture has windows where its file does not list the layers (set_swa_pattern, llama-hparams.cpp)."""

    period: int = 0  # one layer in so many sees everything; 0: only the file's list says which
    is_first: bool = False  # ... the first of them; else the last
    window: int = 0  # in tokens, where the file does not say; 0: then there are none
    is_fixed: bool = False  # the file's value only says that there are windows, not how long they are


# models/*.cpp of llama.cpp 0c1e57098. Architectures that are not here have no windows, whatever their file says.
_HABITS = {
    "afmoe": Habit(4),
    "cohere2": Habit(4),
    "cohere2moe": Habit(4, is_first=True),
    "dots3note": Habit(),
    "exaone-moe": Habit(4, window=128),
    "exaone4": Habit(4, window=4096),
    "gemma2": Habit(2, window=4096),
    "gemma3": Habit(6),
    "gemma3n": Habit(5),
    "gemma4": Habit(),
    "gpt-oss": Habit(2),
    "granite_swa": Habit(),
    "laguna": Habit(4, is_first=True),
    "lfm2": Habit(),
    "llama4": Habit(4, window=8192, is_fixed=True),
    "maple": Habit(),
    "mellum": Habit(4),
    "mimo2": Habit(),
    "muse-glimmer": Habit(4),
    "olmo2": Habit(4),
    "plamo3": Habit(8),
    "smallthinker": Habit(4, is_first=True, window=4096, is_fixed=True),
    "spark2_5": Habit(),
    "step35": Habit(),
}
_EXAONE4_32B_LAYERS = 64  # models/exaone4.cpp: the smaller ones have no windows


def windows(keys: Keys, n_layers: int, n_extra: int) -> tuple[int, ...]:
    """For each layer how many tokens it looks back, 0 for all of them."""
    habit = _HABITS.get(keys.architecture)
    window = _window(keys, habit, n_layers - n_extra) if habit else 0
    if not habit or not window:
        return (0,) * n_layers
    return tuple(window if is_windowed else 0 for is_windowed in _windowed_layers(keys, habit, n_layers, n_extra))


def _window(keys: Keys, habit: Habit, main: int) -> int:
    if keys.architecture == "exaone4" and main != _EXAONE4_32B_LAYERS:
        return 0
    if keys.architecture == "smallthinker" and not keys.number(_WINDOW):
        return 0
    said = keys.number(_WINDOW, habit.window)
    return habit.window if said and habit.is_fixed else said


def _windowed_layers(keys: Keys, habit: Habit, n_layers: int, n_extra: int) -> tuple[bool, ...]:
    main = n_layers - n_extra
    if keys.architecture == "lfm2":  # all its attention layers: models/lfm2.cpp
        return tuple(layer < main for layer in range(n_layers))
    listed = keys.list_of(_PATTERN, n_layers)
    if listed is not None:
        return tuple(value != 0 for value in listed)
    period = keys.number(_PATTERN, habit.period)
    return tuple(layer < main and _is_windowed(layer, period, habit.is_first) for layer in range(n_layers))


def _is_windowed(layer: int, period: int, is_first: bool) -> bool:
    """A period of 0: all; of 1: none."""
    if period == 0:
        return True
    return layer % period != (0 if is_first else period - 1)
