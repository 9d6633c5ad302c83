"""The page of locks, and the dialog that breaks one."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from portal.core.actor import Actor, actor_of
from portal.core.errors import Conflict, InvalidInput
from portal.core.htmx import go_to, render_page
from portal.core.permissions import Permission
from portal.core.web import requires
from workflows.locks.forms import BreakForm
from workflows.locks.queries import LockView, access_lock, lock_list
from workflows.locks.services import break_lock

REASONS = ("Its worker hangs and others wait.", "The run was repaired by hand elsewhere.")


@require_safe
@requires(Permission.VIEW_RUN)
def locks(request: HttpRequest) -> HttpResponse:
    """List the locks that are held or waited for."""
    found = lock_list(actor_of(request))
    context = {"locks": found, "waiting": sum(lock.waiting for lock in found)}
    return render_page(request, "locks/list.html", "locks/_list.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@requires(Permission.BREAK_LOCK)
def break_the_lock(request: HttpRequest, key: str) -> HttpResponse:
    """Ask for the reason, then take the lock from its holder."""
    actor = actor_of(request)
    lock = access_lock(actor, key)
    if request.method != "POST":
        return _show(request, lock, BreakForm(initial={"token": lock.row.token}))
    form, status = BreakForm(request.POST), 422
    if form.is_valid():
        try:
            break_lock(actor=actor, key=key, reason=form.cleaned_data["reason"], expected_token=_token(form))
        except InvalidInput as exc:
            form.add_error("reason", exc.message)
        except Conflict as exc:
            return _show_again(request, actor, key, form, exc)
        else:
            messages.success(request, f"The lock {key} was broken.")
            return go_to(request, reverse("lock-list"))
    return _show(request, lock, form, status=status)


def _token(form: BreakForm) -> int:
    return int(form.cleaned_data["token"])


def _show_again(request: HttpRequest, actor: Actor, key: str, form: BreakForm, problem: Conflict) -> HttpResponse:
    """Show the dialog with what changed: the next confirmation is about the holder that is shown now."""
    lock = access_lock(actor, key)
    form.data = request.POST.dict() | {"token": str(lock.row.token)}
    form.add_error(None, problem.message)
    return _show(request, lock, form, status=problem.http_status)


def _show(request: HttpRequest, lock: LockView, form: BreakForm, *, status: int = 200) -> HttpResponse:
    context = {
        "lock": lock,
        "form": form,
        "title": f"Break the lock {lock.row.key}?",
        "action": reverse("lock-break", args=[lock.row.key]),
        "effects": _effects(lock),
        "reasons": REASONS,
    }
    return render_page(request, "locks/dialog.html", "locks/_dialog.html", context, status=status)


def _effects(lock: LockView) -> list[str]:
    holder = f"{lock.holder.name}, {lock.holder.step_words}, loses it." if lock.holder else "Nobody holds it now."
    if not lock.queue:
        return [holder, "The lock is free: nobody waits for it."]
    rest = f" {lock.waiting - 1} more wait behind it." if lock.waiting > 1 else ""
    return [holder, f"{lock.queue[0].name} gets it and goes on at once.{rest}"]
