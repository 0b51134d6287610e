"""From contributions to verified device configuration, as transactions."""
