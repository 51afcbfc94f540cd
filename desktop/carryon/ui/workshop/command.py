"""The line that asks the commands for what the Workshop page would make. No Qt."""

import shlex

from carryon.app.workshop_list import Order
from carryon.ui.workshop.form import Form


def command_line(form: Form) -> str:
    """Empty where nothing can be made yet. Where a command makes one file, several follow each other."""
    order = form.order()
    if order is None or not order.quants:
        return ""
    if form.is_from_gguf:
        lines = [_quantize(order, quant) for quant in order.quants]
    elif order.source.adapter:
        lines = [_merge(order, quant) for quant in order.quants]
    else:
        lines = [_convert(order)]
    return " && ".join(shlex.join(line) for line in lines)


def _convert(order: Order) -> list[str]:
    to = [quant.lower() for quant in order.quants]
    line = ["carryon", "convert", order.source.place, "--to", *to, "--out", str(order.folder), "--name", order.name]
    line += ["--keep-middle"] * order.keeps_middle
    line += ["--imatrix", str(order.imatrix)] if order.imatrix else []
    line += ["--imatrix-text", str(order.imatrix_text)] if order.imatrix_text else []
    return [*line, *(["--measure"] * order.measures), *(["--fetch-converter"] * order.may_fetch_converter)]


def _merge(order: Order, quant: str) -> list[str]:
    start = ["carryon", "merge", order.source.place, str(order.source.adapter)]
    return [*start, "--to", quant.lower(), "--out", str(order.target(quant))]


def _quantize(order: Order, quant: str) -> list[str]:
    line = ["carryon", "quantize", order.source.place, str(order.target(quant)), quant]
    line += ["--imatrix", str(order.imatrix)] if order.imatrix else []
    return line + ["--requantize"] * order.requantizes
