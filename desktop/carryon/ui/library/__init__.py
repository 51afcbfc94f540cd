"""The Library page: the models that are on this disk, wherever they lie."""
