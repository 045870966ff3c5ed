"""The study of noise schedules: its trials, its measures, its report, and SLURM."""
