"""Trains the built-in guide: a tiny Llama model, from scratch, on the questions and answers we write."""
