"""Nodes that speak HTTPS: the furniture they share, an ACS and a Wi-Fi controller."""
