"""The Chat page: conversations, transcript, composer."""
