"""The embedded runtime: every device of a lab in one process on loopback."""
