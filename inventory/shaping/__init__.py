"""Pools change while they are used: carved, grown, shrunk, split, moved, drained."""
