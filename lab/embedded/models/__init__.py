"""Device models: what they configure is data (YAML), what they do is a few lines each."""
