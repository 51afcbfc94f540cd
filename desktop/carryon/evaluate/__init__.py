"""How much a quant type lost: perplexity and KL divergence against a base, speed and memory."""
