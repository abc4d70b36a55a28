"""What others offer for the same purpose, run as they ship it: the rivals of a study."""
