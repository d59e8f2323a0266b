"""The dashboard's blueprint; every module of views hangs its addresses on it."""

from flask import Blueprint

dashboard = Blueprint(
    "dashboard",
    __name__,
    template_folder="templates",
    static_folder="static",
    static_url_path="/static",
)
