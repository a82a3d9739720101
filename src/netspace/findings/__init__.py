"""What populations teach: populations in, findings out, as plain data. Commands print them and pages draw them."""
