from __future__ import annotations

from django.urls import path

from portal.core.web import requires
from portal.web.views import (
    access,
    account,
    audit,
    guide,
    lookup,
    overview,
    people,
    probes,
    runbooks,
    search,
    settings,
)
from portal.web.views.sign_in import SignIn, SignOut

urlpatterns = [
    path("", overview.landing, name="landing"),
    path("overview/", overview.overview, name="overview"),
    path("lookup/", lookup.lookup, name="lookup"),
    path("runbooks/<slug:slug>/", runbooks.runbook_page, name="runbook"),
    path("livez", probes.livez, name="livez"),
    path("readyz", probes.readyz, name="readyz"),
    path("metrics", probes.metrics, name="metrics"),
    path("login/", SignIn.as_view(), name="login"),
    path("logout/", requires()(SignOut.as_view()), name="logout"),
    path("search/", search.search, name="search"),
    path("help/", guide.help_page, name="help"),
    path("style/", guide.style_page, name="style"),
    path("style/_clock/", guide.style_clock, name="style-clock"),
    path("style/dialog/", guide.style_dialog, name="style-dialog"),
    path("audit/", audit.audit_list, name="audit-list"),
    path("audit/verify/", audit.audit_verify, name="audit-verify"),
    path("audit/export/", audit.audit_export, name="audit-export"),
    path("audit/<uuid:entry_id>/", audit.audit_detail, name="audit-entry"),
    path("access/", access.overview, name="access"),
    path("access/new-person/", people.person_new, name="access-person-new"),
    path("access/people/<str:username>/", access.person_detail, name="access-person"),
    path("access/people/<str:username>/roles/<str:role>/grant/", access.role_grant, name="access-role-grant"),
    path("access/people/<str:username>/roles/<str:role>/revoke/", access.role_revoke, name="access-role-revoke"),
    path("access/people/<str:username>/off/", people.person_switch, {"to": "off"}, name="access-person-off"),
    path("access/people/<str:username>/on/", people.person_switch, {"to": "on"}, name="access-person-on"),
    path("access/grants/new/", access.grant, name="access-grant"),
    path("access/grants/revoke/", access.grant_revoke, name="access-grant-revoke"),
    path("access/tokens/", account.tokens, name="tokens"),
    path("access/tokens/<uuid:token_id>/revoke/", account.token_revoke, name="token-revoke"),
    path("preferences/", account.preferences, name="preferences"),
    path("preferences/password/", people.password, name="password"),
    path("preferences/theme/", settings.set_theme, name="set-theme"),
    path("preferences/zone/", settings.set_zone, name="set-zone"),
]
