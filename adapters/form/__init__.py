"""Forms on the business's own pages: what people send becomes a lead."""
