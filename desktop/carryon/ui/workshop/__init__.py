"""The workshop: from a model's source to the best file for this machine, in four steps."""
