"""What a person must know of, and what nobody would notice by itself."""
