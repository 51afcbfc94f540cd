"""Tokenizers of every kind that models come with, as GGUF wants them."""
