"""Who holds which value: taking, giving back, sets, and the free ranges beneath."""
