"""Reads `hub.yaml` into `hub.core.configuration`; everything that is wrong with it comes at once.

lines         YAML, with the line of every key
references    `${NAME}` and `${NAME:-default}`
entries       keys against a schema: unknown, planned, missing, of the wrong type
values        durations, sizes, rates and the other notations of the file
secrets       which secrets are too weak to stand in front of the internet
addresses     where a destination may point
site, sources, destinations, routes, expressions    one file per thing
file          puts it together: `load_config`
"""

from hub.config.load import load_config
from hub.config.secret_strength import PUBLISHED_SECRETS

__all__ = ["PUBLISHED_SECRETS", "load_config"]
