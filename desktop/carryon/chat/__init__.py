"""Conversations: values, the store that loses nothing, and one turn of talk."""
