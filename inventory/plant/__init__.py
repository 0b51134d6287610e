"""What is out there: devices, ports, links, places, and which of them serves whom."""
