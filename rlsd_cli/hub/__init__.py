"""Publishing a trained model."""
