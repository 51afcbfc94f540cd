"""How long the workshop's stages take: by what they took here before, else a cautious guess."""

from collections.abc import Callable

from carryon.app.workshop_list import Converter, StageKind, Target
from carryon.app.workshop_places import DIRECT

# Bytes a second of the file that is read, before anything was measured: a quarter of what two slow cores and a plain
# disk did here (converting to Q8_0 and BF16; quantizing to K-quants; the IQ types search for their codes).
_CONVERTING, _CONVERTING_UPSTREAM = 100e6, 20e6
_QUANTIZING, _SEARCHING = 25e6, 2e6
_SEARCHED = ("IQ1", "IQ2", "IQ3")
_START_S = 1.0


class Paces:
    """`units_per_s` tells what was measured of a kind of stage and a quant type, in bytes of the file that was read."""

    def __init__(self, units_per_s: Callable[[StageKind, str], float | None]) -> None:
        self._units_per_s = units_per_s

    def duration_s(self, converter: Converter, read_bytes: int, target: Target) -> tuple[float, bool]:
        """Of converting and quantizing to one target, and whether that was measured here."""
        is_direct = target.quant in DIRECT
        legs = []
        if converter in (Converter.OURS, Converter.UPSTREAM):
            legs.append((StageKind.CONVERT, target.quant if is_direct else ""))
        if not is_direct or converter is Converter.NONE:
            legs.append((StageKind.QUANTIZE, target.quant))
        known = [self._units_per_s(kind, quant) for kind, quant in legs]
        guessed = [_guess(converter, kind, quant) for kind, quant in legs]
        rates = [one or other for one, other in zip(known, guessed, strict=True)]
        return sum(read_bytes / one for one in rates) + _START_S * len(legs), all(known)


def _guess(converter: Converter, kind: StageKind, quant: str) -> float:
    if kind is StageKind.CONVERT:
        return _CONVERTING_UPSTREAM if converter is Converter.UPSTREAM else _CONVERTING
    return _SEARCHING if quant.startswith(_SEARCHED) else _QUANTIZING
