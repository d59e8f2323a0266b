"""Configuration loader: reads `hub.yaml` into `hub.core.configuration`, reports all errors at once.

- `load`: the entry point, `load_config`; reads the sections in order.
- `yaml`: YAML parser that keeps the line of every key.
- `env_vars`: substitution of `${NAME}` and `${NAME:-default}`.
- `errors`: collects the errors by line and path, and redacts environment values.
- `sections`: keys against a schema: unknown, planned, missing or of the wrong type.
- `fields`: marshmallow fields for durations, sizes, rates and the other notations.
- `expressions`: compiles `when` and `with`, and checks `with` against the action's schema.
- `site`, `sources`, `destinations`, `routes`, `people`, `assign`, `limits`, `retention`: one module
  for each section. `site` also reads `users`; `limits` also reads the `limits` of a destination and
  the `captcha` of a form source.
- `cross_checks`: references between sections: accounts, callbacks and owners.
- `secret_strength`: rejects weak and published webhook secrets.
- `urls`: checks the URLs that destinations and captchas may have.
"""

from hub.config.load import load_config
from hub.config.secret_strength import PUBLISHED_SECRETS

__all__ = ["PUBLISHED_SECRETS", "load_config"]
