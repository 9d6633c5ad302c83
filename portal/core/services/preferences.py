"""What people set for themselves: theme, density, time zone, shortcuts. Nobody else's business: not audited."""

from __future__ import annotations

import zoneinfo

from portal.core.errors import InvalidInput
from portal.core.models import User


def change_preferences(
    user: User,
    *,
    theme: str | None = None,
    density: str | None = None,
    time_zone: str | None = None,
    single_key_shortcuts: bool | None = None,
) -> None:
    """Keep the given preferences on the account; what is None stays as it is.

    :raises InvalidInput: for a theme, density or zone that does not exist.
    """
    wrong: dict[str, list[str]] = {}
    if theme is not None and theme not in User.Theme.values:
        wrong["theme"] = ["Choose light, dark, or like the system."]
    if density is not None and density not in User.Density.values:
        wrong["density"] = ["Choose comfortable, regular or compact."]
    if time_zone is not None and time_zone not in zoneinfo.available_timezones():
        wrong["time_zone"] = ["There is no time zone of that name."]
    if wrong:
        raise InvalidInput("This preference does not exist.", fields=wrong)
    given = {
        "theme": theme,
        "density": density,
        "time_zone": time_zone,
        "single_key_shortcuts": single_key_shortcuts,
    }
    changes = {name: value for name, value in given.items() if value is not None}
    for name, value in changes.items():
        setattr(user, name, value)
    user.save(update_fields=list(changes))
