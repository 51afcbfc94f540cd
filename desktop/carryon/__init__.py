"""Carryon packs a large language model into the machine you have."""

__version__ = "0.1.0"
