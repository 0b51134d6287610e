"""How instances hang together, live and change, and whom a failure hurts."""
