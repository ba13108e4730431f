"""Token-level credit of one prompt's trajectories: as a picture, in the terminal, as a web page."""
