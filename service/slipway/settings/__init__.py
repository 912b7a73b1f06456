"""The settings: declared once, loaded from defaults, a file and the environment."""
