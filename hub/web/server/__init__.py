"""Web server: gunicorn, with a worker class that buffers requests before they are handled."""
