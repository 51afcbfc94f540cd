"""One rotating log file, with secrets struck out before they are written."""

import logging
import re
from logging.handlers import RotatingFileHandler
from pathlib import Path

_SECRET = re.compile(
    r"hf_[A-Za-z0-9]{20,}|(?<=Bearer )[^\s\"']+|(?<=Basic )[^\s\"']+|(?<=X-Amz-)[^\s\"']+|(?<=[?&]Signature=)[^\s\"'&]+"
)


class StrikeSecrets(logging.Filter):
    """Replaces tokens in a record's message, whatever wrote it."""

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        if _SECRET.search(message):
            record.msg, record.args = _SECRET.sub("[secret]", message), None
        return True


def start_log(folder: Path, name: str = "carryon") -> Path:
    """Sends every log record of this process to `folder`/`name`.log and returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.log"
    handler = RotatingFileHandler(path, maxBytes=1_000_000, backupCount=3, encoding="utf-8", delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    handler.addFilter(StrikeSecrets())
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    return path
