"""A NETCONF server (RFC 6241, RFC 6242) with real datastores, for models written as data."""
