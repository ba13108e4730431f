"""What a base must do so that the paper's claims can be true or false on it: measured, and judged."""
