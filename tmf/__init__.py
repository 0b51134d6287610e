"""TM Forum wire models, conventions, events and the ports between the layers."""
