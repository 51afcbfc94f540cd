"""What fits and how fast it runs: arithmetic on values only. No files, no clocks, no processes."""
