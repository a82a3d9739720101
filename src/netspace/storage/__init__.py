"""What is remembered: one store per study, and the populations that come out of it."""
