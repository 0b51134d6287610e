"""How full pools are, were and will be."""
