"""The sampling that a model's makers recommend: generation_config.json becomes general.sampling.*."""

from pathlib import Path

from carryon.convert.config import Config, read_optional_json
from carryon.convert.write import Setting

FILE = "generation_config.json"
# Their name, its key in GGUF (gguf-py's Keys.General.SAMPLING_*), and the values that make sense.
_NUMBERS = (
    ("temperature", "general.sampling.temp", 0.0, 10.0),
    ("top_p", "general.sampling.top_p", 0.0, 1.0),
    ("min_p", "general.sampling.min_p", 0.0, 1.0),
    ("repetition_penalty", "general.sampling.penalty_repeat", 0.01, 10.0),
)
_TOP_K = ("top_k", "general.sampling.top_k")


def sampling_settings(folder: Path) -> dict[str, Setting]:
    """What the file recommends and an engine can use; a value out of range is left out. Raises BadFile.

    `do_sample: false` means the likeliest token every time, which is a temperature of 0.
    """
    config = Config(read_optional_json(folder / FILE), FILE)
    settings: dict[str, Setting] = {}
    for name, key, low, high in _NUMBERS:
        if config.has(name) and low <= config.number(name) <= high:
            settings[key] = config.number(name)
    if config.has(_TOP_K[0]):
        settings[_TOP_K[1]] = config.whole(_TOP_K[0], least=0)
    if config.has("do_sample") and not config.flag("do_sample", True):
        settings["general.sampling.temp"] = 0.0
    return settings
