"""Ways to talk to people: each channel parses what comes in, sends what goes out, and keeps its connection."""
