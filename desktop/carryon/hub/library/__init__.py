"""The models that are on this disk, whoever keeps them: found, read, told apart. Nothing is changed here."""
