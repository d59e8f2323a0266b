"""Work in the background, thin: drain the lanes, sweep up, and the processes that do it."""
