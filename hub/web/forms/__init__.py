"""Lead forms: submissions from a site, the hosted form, and the spam check at the door."""
