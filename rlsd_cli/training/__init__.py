"""What all arms share: rollouts, teacher passes, probes, checkpoints. Nothing here knows an arm's name."""
