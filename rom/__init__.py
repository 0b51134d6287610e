"""Resource order management: resource orders become assigned, configured, verified resources."""
