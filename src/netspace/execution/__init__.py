"""Where trials run: callables in, events out; nothing here knows what a network is."""
