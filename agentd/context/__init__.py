"""What the model gets to see: a prompt that fits, from what was said."""
