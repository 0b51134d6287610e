"""Kinds of values, and how they are written and laid out."""
