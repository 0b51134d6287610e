"""Turnup's own HTTP calls, beside the TMF APIs: one module per concern."""
