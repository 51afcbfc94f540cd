"""From one GGUF file to smaller ones: what a quant type will weigh, an importance matrix, and the work itself."""
