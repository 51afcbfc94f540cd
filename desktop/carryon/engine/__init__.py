"""Starts, watches and speaks to an engine process; maps no engine itself."""
