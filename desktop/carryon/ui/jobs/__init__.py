"""Downloads and the workshop's runs as people see them: the ring in the status bar, its popover, the page."""
