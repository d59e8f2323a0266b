"""What every adapter promises. Standard library and marshmallow only."""
