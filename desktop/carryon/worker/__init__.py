"""What a child process runs; nobody imports it; the only importer of llama_cpp."""
