"""Markdown as it is drawn everywhere: parsed into values that are safe, written into a document, shown in a view."""
