"""One async Protocol, one module per way to talk to a device."""
