"""The study of noise schedules: its trials, measures and report, and how to run it on SLURM."""
