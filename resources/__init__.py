"""Icons, fonts, theme and the built-in model, reached as `carryon.resources`."""
