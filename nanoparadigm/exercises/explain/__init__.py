"""What a verdict says beyond "not yet": which arguments, which error and where, what differs."""
