"""Names under which others know these methods, translated."""
