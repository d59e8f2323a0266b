"""Lead forms: submissions from a site, the hosted form, and the spam check before ingestion."""
