"""Service order management: service orders become resource orders."""
