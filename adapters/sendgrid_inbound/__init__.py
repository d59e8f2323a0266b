"""SendGrid Inbound Parse: e-mails that people send to an address of ours."""
