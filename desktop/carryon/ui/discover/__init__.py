"""The Discover page: find a model on the Hub, see how each quant would fit here, get it."""
