"""Leads: which are held as suspects, who looks after them, and who is told when nobody does."""
