"""Writes resources/upstream_architectures.txt: the text models that llama.cpp's own converter registers.

    python3 packaging/upstream_list.py FOLDER     FOLDER holds convert_hf_to_gguf.py and conversion/

Nothing of the folder is run: its table is read as a literal. Once for every new version of the engine.
"""

import ast
import sys
from pathlib import Path

_TABLE = "TEXT_MODEL_MAP"
_TARGET = Path(__file__).parents[1] / "resources" / "upstream_architectures.txt"
_HEAD = "# Made by packaging/upstream_list.py: what llama.cpp's own converter calls the text models it knows.\n"


def names(folder: Path) -> list[str]:
    """The architectures, sorted."""
    tree = ast.parse((folder / "conversion" / "__init__.py").read_text("utf-8"))
    tables = [one.value for one in tree.body if isinstance(one, ast.AnnAssign) and ast.unparse(one.target) == _TABLE]
    return sorted(ast.literal_eval(tables[0]))


if __name__ == "__main__":
    _TARGET.write_text(_HEAD + "".join(f"{name}\n" for name in names(Path(sys.argv[1]))), "utf-8")
