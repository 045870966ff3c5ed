"""The training loop: its settings, its log, checkpoints, resuming, and several processes."""
