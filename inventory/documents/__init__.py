"""Pools and allocations as a document or a sheet, out and in."""
