"""What a network is: spec, plan and complexity. Nothing here needs more than numpy."""
