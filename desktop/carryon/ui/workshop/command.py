"""The lines that ask the commands for what the Workshop page would make. No Qt."""

import shlex

from carryon.app.workshop_list import Order
from carryon.ui.workshop.form import DIRECT_QUANTS, Form


def command_line(form: Form) -> str:
    """Empty where nothing can be made yet; several files are made one after the other."""
    order = form.order()
    if order is None or not order.quants:
        return ""
    lines = [_quantize(order, quant) if form.is_from_gguf else _convert(order, quant) for quant in order.quants]
    return " && ".join(shlex.join(line) for line in lines)


def _convert(order: Order, quant: str) -> list[str]:
    start = ["carryon", "convert", order.source.place]
    if order.source.adapter:
        start = ["carryon", "merge", order.source.place, str(order.source.adapter)]
    options = ["--to", quant.lower(), "--out", str(order.target(quant))]
    return [*start, *options, *(_matrix(order) if quant not in DIRECT_QUANTS else [])]


def _quantize(order: Order, quant: str) -> list[str]:
    start = ["carryon", "quantize", order.source.place, str(order.target(quant)), quant]
    return [*start, *_matrix(order), *(["--requantize"] if order.requantizes else [])]


def _matrix(order: Order) -> list[str]:
    return ["--imatrix", str(order.imatrix)] if order.imatrix else []
