"""How a network is judged, whatever the framework: recipe, data, trial, and the backend's contract."""
