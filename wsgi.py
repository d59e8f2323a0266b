"""WSGI entry point: `gunicorn wsgi:app`."""

import os

from hub.app import create_app
from hub.bootstrap import refuse_copy, warn_of_files
from hub.gateways.logs import configure_logs
from hub.settings import load_settings

settings = load_settings(os.environ)
configure_logs(settings.log_level, settings.log_format)
warn_of_files(settings)
refuse_copy(settings)
app = create_app(settings, os.environ)
