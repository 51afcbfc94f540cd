"""What everything stands on: errors, jobs, files, settings, paths, units, log. Knows no model and no window."""
