"""Forms on the business's own web pages: each submission becomes a lead."""
