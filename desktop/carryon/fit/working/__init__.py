"""The engine's working memory: the graph of a model, laid out in a buffer as ggml-alloc does."""
