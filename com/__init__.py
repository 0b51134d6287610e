"""Commercial order management: product orders become service orders."""
