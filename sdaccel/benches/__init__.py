"""Parts of the project timed beside their floors, the least time that they could take."""
