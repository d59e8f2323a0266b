"""SendGrid Inbound Parse: e-mails that people send to your domain."""
