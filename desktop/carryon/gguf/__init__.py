"""GGUF files: what their header says, without touching a tensor."""
