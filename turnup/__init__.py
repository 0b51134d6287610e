"""The application: settings, wiring, server, command line."""
