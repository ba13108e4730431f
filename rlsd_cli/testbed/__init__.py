"""The embedded bases: their corpus, their network, their pre-training, and where they are kept."""
