"""The load dialog: model, context length, GPU layers."""
