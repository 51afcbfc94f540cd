"""Hugging Face checkpoints to GGUF, streamed, without torch."""
