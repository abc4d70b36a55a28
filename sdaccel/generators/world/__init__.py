"""Real pictures of the small world, as one more arm of a study."""
