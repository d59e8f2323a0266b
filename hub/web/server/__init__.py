"""The web server: gunicorn, with a worker that collects requests before anybody handles them."""
