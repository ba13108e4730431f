"""Arms outside the package, as a user would have them."""
