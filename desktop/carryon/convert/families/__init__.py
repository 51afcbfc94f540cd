"""One file a model family: what its tensors and settings are called in GGUF."""
