"""What ``nptransport worker MODULE`` is to offer."""

from __future__ import annotations

import importlib
import os
import sys
from types import ModuleType

import click

import nptransport as npt

__all__ = ["load"]


def load(target: str) -> npt.Methods:
    """The methods of ``MODULE``, or of ``MODULE:OBJECT``: an ``npt.Methods`` or a function."""
    name, _, attribute = target.partition(":")
    module = _import(name.removesuffix(".py").replace(os.sep, "."))
    if attribute:
        found = [_attribute(module, attribute)]
    else:
        found = [value for value in vars(module).values() if isinstance(value, npt.Methods)]
        if not found:
            raise click.UsageError(f"{name} has no methods = npt.Methods(); name a function with {name}:FUNCTION")
    methods = npt.Methods()
    for each in dict.fromkeys(found):
        if isinstance(each, npt.Methods):
            methods.include(each)
        elif callable(each):
            methods.register(getattr(each, "__name__", attribute), each)
        else:
            raise click.UsageError(f"{target} is neither an npt.Methods nor a function")
    if not len(methods):
        raise click.UsageError(f"{target} offers nothing: decorate functions with @methods.method")
    return methods


def _import(name: str) -> ModuleType:
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        return importlib.import_module(name)
    except Exception as error:  # noqa: BLE001 - whatever the module does, it is the user's to mend
        raise click.UsageError(f"cannot import {name}: {type(error).__name__}: {error}") from None


def _attribute(module: ModuleType, path: str) -> object:
    value: object = module
    for name in path.split("."):
        try:
            value = getattr(value, name)
        except AttributeError:
            raise click.UsageError(f"{module.__name__} has no {path}") from None
    return value
