"""llama.cpp's own converter, for architectures that ours does not know: fetched when the person agrees, run apart."""
