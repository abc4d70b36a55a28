"""Train the small models that ship, on the procedural world."""
