"""Bytes, seconds and tokens as people read and write them. What was not measured is None and shows as a dash."""

NOT_MEASURED = "—"
MEMORY_GB = 2**30
_STEPS = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


def bytes_text(size_bytes: float | None) -> str:
    """A file's size: 1 GB is 1,000,000,000 bytes, as on a disk's label and on the Hub."""
    if size_bytes is None:
        return NOT_MEASURED
    for step, name in _STEPS:
        if size_bytes >= step:
            value = size_bytes / step
            return f"{value:.0f} {name}" if value >= 100 else f"{value:.1f} {name}"
    return f"{size_bytes:.0f} bytes"


def done_text(done_bytes: float, total_bytes: float) -> str:
    """'1.2 of 4.9 GB', one unit for both."""
    for step, name in _STEPS:
        if total_bytes >= step:
            n_decimals = 0 if total_bytes / step >= 100 else 1
            return f"{done_bytes / step:.{n_decimals}f} of {total_bytes / step:.{n_decimals}f} {name}"
    return f"{done_bytes:.0f} of {total_bytes:.0f} bytes"


def rate_text(bytes_per_s: float | None) -> str:
    """'23 MB/s'; a decimal only where there are few."""
    if bytes_per_s is None:
        return NOT_MEASURED
    for step, name in _STEPS:
        if bytes_per_s >= step:
            value = bytes_per_s / step
            return f"{value:.0f} {name}/s" if value >= 10 else f"{value:.1f} {name}/s"
    return f"{bytes_per_s:.0f} bytes/s"


def left_text(duration_s: float | None) -> str:
    """'40 s left', '3 min left', '1 h 20 min left': as exact as a guess can be."""
    if duration_s is None:
        return NOT_MEASURED
    if duration_s < 60:
        return f"{max(1, round(duration_s))} s left"
    minutes = round(duration_s / 60)
    if minutes < 60:
        return f"{minutes} min left"
    hours = minutes // 60
    return f"{hours} h {minutes % 60} min left" if hours < 24 else f"{hours // 24} d {hours % 24} h left"


def memory_text(size_bytes: float | None) -> str:
    """'6.1 GB' of 2**30 bytes each: memory is sold, and shown by every system, in these."""
    if size_bytes is None:
        return NOT_MEASURED
    if size_bytes < MEMORY_GB / 10:
        return f"{size_bytes / 2**20:.1f} MB" if size_bytes < 10 * 2**20 else f"{size_bytes / 2**20:.0f} MB"
    return f"{size_bytes / MEMORY_GB:.1f} GB"


def memory_pair_text(used_bytes: float | None, total_bytes: float | None) -> str:
    """'13.3 / 31.3 GB', one unit for both, counted as memory is."""
    if used_bytes is None or total_bytes is None:
        return NOT_MEASURED
    return f"{used_bytes / MEMORY_GB:.1f} / {total_bytes / MEMORY_GB:.1f} GB"


def speed_text(tokens_per_s: float | None) -> str:
    """'41.3 tokens/s'; no decimals from a hundred up."""
    if tokens_per_s is None:
        return NOT_MEASURED
    return f"{tokens_per_s:,.0f} tokens/s" if tokens_per_s >= 100 else f"{tokens_per_s:.1f} tokens/s"


def seconds_text(duration_s: float | None) -> str:
    """'0.18 s', '12 s', '3 min 20 s'."""
    if duration_s is None:
        return NOT_MEASURED
    if duration_s < 10:
        return f"{duration_s:.2f} s"
    if duration_s < 120:
        return f"{duration_s:.0f} s"
    return f"{int(duration_s) // 60} min {int(duration_s) % 60} s"


def context_text(n_tokens: int) -> str:
    """'16k' for round contexts, '5,000' for others."""
    return f"{n_tokens // 1024}k" if n_tokens >= 1024 and n_tokens % 1024 == 0 else f"{n_tokens:,}"


def parsed_tokens(text: str) -> int | None:
    """Tokens from '8k', '8 k', '8,192', '8192 tokens'; None when it is none of these."""
    plain = text.strip().lower().replace(",", "").replace(" ", "").replace("\u00a0", "").removesuffix("tokens")
    digits = plain.removesuffix("k")
    if not digits.isascii() or not digits.isdigit():
        return None
    return int(digits[:12]) * (1024 if plain != digits else 1)
