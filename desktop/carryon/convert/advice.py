"""The next steps that a conversion's errors suggest, each said in one way only."""

DOWNLOAD_AGAIN = "Download that file again."
LOOK_FOR_GGUF = "Look for a GGUF copy of this model."
TAKE_ORIGINAL = "Convert the original model that it was made from."
