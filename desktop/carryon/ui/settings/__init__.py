"""The Settings page: theme, threads, folders, this machine."""
