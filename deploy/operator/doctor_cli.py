"""`causeway doctor`: what keeps an installation from working."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cyclopts import App

from client.cli import output
from deploy.site.options import Options, ending

if TYPE_CHECKING:
    from deploy.operator.doctor import Surroundings

_OPTIONS = Options()


def doctor_app(stack: Surroundings) -> App:
    """The command. `stack` looks at what is around a site that a development stack has written."""
    app = App(name="doctor", help="What keeps an installation from working, looked at from outside.")

    @app.default
    def doctor(*, options: Options = _OPTIONS) -> int:
        """Check files, ports, Java, logins, topics, rights, durability, schemas, documents; 1 if anything is wrong."""
        with ending(options):
            from deploy.operator.doctor import examine
            from deploy.site.open import site

            found = examine(site(options), stack)
            if options.json:
                output.document({"findings": [each.as_json() for each in found]})
            else:
                rows = [(each.what, "well" if each.well else each.code, each.advice) for each in found]
                output.table(("what", "found", "what to do"), rows)
            return output.DONE if all(each.well for each in found) else output.FAILED

    return app
