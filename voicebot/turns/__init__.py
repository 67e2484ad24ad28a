"""When the caller speaks, has finished, or takes the floor."""
