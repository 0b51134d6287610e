"""A network on this machine: topology file in, answering devices out."""
