"""HTTP, thin: what arrives is turned into a call of core, and what core says into an answer."""
