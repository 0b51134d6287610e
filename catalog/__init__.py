"""Design time truth: products, services and resources as data, and how they decompose."""
