"""What the hub does. It never commits, never asks what time it is, and knows no framework."""
