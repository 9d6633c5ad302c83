"""A form that asks for a reason before it acts: a dialog with script, a page without."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse

from portal.core.errors import Conflict, InvalidInput
from portal.core.htmx import go_to, render_page
from portal.web.access_forms import add_problems


@dataclass(frozen=True, slots=True)
class Dialog:
    """The words of a dialog. ``back`` is where Cancel, and success, lead."""

    title: str
    confirm: str
    back: str
    text: str = ""
    effects: tuple[str, ...] = ()
    is_danger: bool = False


def ask(request: HttpRequest, dialog: Dialog, form: forms.Form, act: Callable[[], str]) -> HttpResponse:
    """Show the dialog; once it is sent and valid, act and go back with the sentence that ``act`` returns.

    What the service refuses is shown in the form: 422 for the input, 409 for the state.
    """
    status = 200
    if request.method == "POST":
        status = 422
        if form.is_valid():
            try:
                messages.success(request, act())
            except InvalidInput as exc:
                add_problems(form, exc)
            except Conflict as exc:
                status = exc.http_status
                form.add_error(None, exc.message)
            else:
                return go_to(request, dialog.back)
    context = {"dialog": dialog, "form": form, "action": request.get_full_path()}
    return render_page(request, "access/dialog.html", "access/_dialog.html", context, status=status)
