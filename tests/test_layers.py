"""What docs/architecture.md draws: imports go down only, few rooms know ZeroMQ, and importing costs little."""

from __future__ import annotations

import ast
import graphlib
import inspect
import json
import pickle
import re
import sys
from pathlib import Path

import pytest
from faces import spawn_fixture  # noqa: F401

import nptransport as npt
import nptransport.asyncio

ROOT = Path(npt.__file__).parent

FACES = {"producer", "consumer", "publisher", "subscriber", "proxy", "client", "server", "broker", "worker"}
FLOORS = [
    {"errors", "limits", "log"},
    {"codec"},
    {"sockets", "memory"},
    {"protocol"},
    {"transport"},
    {"shm"},
    {"patterns"},
    FACES,
    {"asyncio"},
    {""},  # the package itself: the public surface
    {"cli"},  # goes through the public surface only
    {"__main__"},
]
"""From the ground up: files and folders. Each knows what is below it, and within its folder nobody in a circle."""
HEIGHT = {name: height for height, names in enumerate(FLOORS) for name in names}

OUTSIDE = {"numpy", "msgpack", "zmq"}
SOCKETS = {"sockets"} | {
    f"transport.{name}" for name in ("channel", "link", "parts", "connections", "curve", "doorkeeper")
}
NAME_THEIR_SOCKET = {"patterns.brokerside"} | {
    f"patterns.{name}ing"
    for name in (
        *("produc", "consum", "broadcast", "publish", "listen", "subscrib"),
        *("proxy", "request", "serv", "work", "broker"),
    )
}
PASS_A_CONTEXT_ON = {f"{face}{name}" for face in ("", "asyncio.") for name in FACES - {"publisher", "proxy", "broker"}}
MSGPACK = {"codec.packing", "codec.tree"}


def name_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


TREES = {name_of(path): ast.parse(path.read_text()) for path in ROOT.rglob("*.py")}
ROOMS = sorted(name for name in TREES if name.partition(".")[0] != "cli")
PEOPLE = sorted(set(TREES) - set(ROOMS))


def is_package(name):
    return (ROOT / name.replace(".", "/") / "__init__.py").exists()


def imports(name):
    """Full names of what the module imports, wherever in it that stands: nptransport.codec, numpy, os.path."""
    package = f"nptransport.{name}".rstrip(".").split(".")
    if not is_package(name):
        package.pop()
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(
                [*(package[: len(package) + 1 - node.level] if node.level else []), *filter(None, [node.module])]
            )
            for alias in node.names:
                whole = f"{base}.{alias.name}"
                yield whole if whole.removeprefix("nptransport.") in TREES else base


def rooms_below(name):
    """The rooms of ours that the module imports."""
    for imported in imports(name):
        if imported.partition(".")[0] == "nptransport":
            yield imported.removeprefix("nptransport").removeprefix(".")


def outside(name):
    return {imported.partition(".")[0] for imported in imports(name)} - sys.stdlib_module_names - {"nptransport"}


def importers(package):
    return {name for name in ROOMS if package in outside(name)}


# Who knows whom


def floor(name):
    return HEIGHT[name if name in HEIGHT else name.partition(".")[0]]


def test_every_room_is_on_a_floor():
    assert {name if name in HEIGHT else name.partition(".")[0] for name in TREES} == set(HEIGHT)


def test_the_architecture_names_every_room():
    drawn = (ROOT.parent / "docs" / "architecture.md").read_text(encoding="utf-8")
    inside = [name for name in ROOMS if "." in name and not name.startswith("asyncio")]
    assert [name for name in inside if f"`{name.rpartition('.')[2]}`" not in drawn] == []


@pytest.mark.parametrize("name", ROOMS)
def test_imports_go_down(name):
    for imported in rooms_below(name):
        assert floor(imported) <= floor(name), f"{name} must not know {imported}"


def test_nobody_knows_himself_in_a_circle():
    graphlib.TopologicalSorter({name: set(rooms_below(name)) for name in ROOMS}).prepare()


@pytest.mark.parametrize("name", PEOPLE)
def test_the_command_line_knows_the_public_surface_only(name):
    known = {imported for imported in rooms_below(name) if not imported.startswith("cli")}
    looks_inside = {"memory.cgroup", "transport.folders"} if name == "cli.doctor.checks" else set()
    assert known - looks_inside <= {"", "asyncio"}
    used = {node.attr for node in ast.walk(TREES[name]) if isinstance(node, ast.Attribute) and is_ours(node.value)}
    assert used <= {*npt.__all__, "__version__"}


def is_ours(node):
    return isinstance(node, ast.Name) and node.id in ("npt", "nptransport")


def test_who_knows_the_packages_of_others():
    assert importers("zmq") == SOCKETS | NAME_THEIR_SOCKET | PASS_A_CONTEXT_ON
    assert importers("msgpack") == MSGPACK
    assert set().union(*map(outside, ROOMS)) <= OUTSIDE | {"ml_dtypes"}


@pytest.mark.parametrize("name", sorted(PASS_A_CONTEXT_ON))
def test_a_face_names_zmq_in_annotations_only(name):
    arguments = [node.annotation for node in ast.walk(TREES[name]) if isinstance(node, ast.arg) and node.annotation]
    annotated = {id(node) for annotation in arguments for node in ast.walk(annotation)}
    assert not [
        node.lineno
        for node in ast.walk(TREES[name])
        if isinstance(node, ast.Name) and node.id == "zmq" and id(node) not in annotated
    ]


@pytest.mark.parametrize("name", [name for name in ROOMS if name.startswith("protocol")])
def test_the_protocol_has_no_socket_and_no_clock(name):
    assert not {"zmq", "socket", "time", "asyncio", "select"} & {module.partition(".")[0] for module in imports(name)}


def test_importing_is_cheap(spawn):
    """Nothing comes with it but what it stands on; endpoints, asyncio and the command line when they are asked for."""
    child = spawn(
        """
        import json, subprocess
        list_modules = "import json, sys; print(json.dumps(sorted(sys.modules)))"
        for packages in ("numpy, zmq, msgpack", "nptransport"):
            say(subprocess.run([sys.executable, "-c", f"import {packages}; {list_modules}"],
                               capture_output=True, check=True, text=True).stdout.strip())
        """
    )
    ground, ours = (set(json.loads(child.hear())) for _ in range(2))
    added = {module.partition(".")[0] for module in ours - ground}
    assert added - sys.stdlib_module_names == {"nptransport"}
    assert not {"asyncio", "logging", "click", "rich", "zmq.asyncio", "nptransport.cli"} & ours
    assert not {"nptransport.transport.channel", "nptransport.protocol", "nptransport.memory"} & ours


def test_what_is_imported_later_is_there_from_the_start(spawn):
    child = spawn(
        """
        import nptransport as npt
        say(sorted(set(npt.__all__) - set(dir(npt))))
        say([name for name in npt.__all__ if getattr(npt, name).__name__ != name])
        say(npt.asyncio.Producer is not npt.Producer)
        try:
            npt.Konsumer
        except AttributeError as error:
            say(error)
        """
    )
    assert [child.hear() for _ in range(4)] == [
        "[]",
        "[]",
        "True",
        "module 'nptransport' has no attribute 'Konsumer'",
    ]


# What people meet


def public():
    for package in (npt, nptransport.asyncio):
        for name in package.__all__:
            yield f"{package.__name__}.{name}", getattr(package, name)


def test_public_names_are_documented():
    undocumented = [name for name, value in public() if not (value.__doc__ or "").strip()]
    for name, value in public():
        if inspect.isclass(value):
            for attribute, member in inspect.getmembers(
                value, lambda m: inspect.isfunction(m) or isinstance(m, property)
            ):
                if not attribute.startswith("_") and not member.__doc__:
                    undocumented.append(f"{name}.{attribute}")
    assert undocumented == []
    assert sorted(npt.__all__) == npt.__all__


@pytest.mark.parametrize("name", sorted(face.capitalize() for face in FACES))
def test_constructors_tell_all_arguments_and_the_same_errors(name):
    kind = getattr(npt, name)
    _, arguments, errors = re.split(r"\n    (?:Args|Raises):\n", kind.__doc__)
    told = re.findall(r"^        (\w+(?:, \w+)*): ", arguments, re.M)
    assert sorted(", ".join(told).split(", ")) == sorted(inspect.signature(kind).parameters)
    raised = re.findall(r"^        (\w+): ", errors, re.M)
    assert raised[:4] == ["AddressError", "AuthenticationError", "TransportError", "ValueError"]


ERRORS = [value for _, value in public() if inspect.isclass(value) and issubclass(value, Exception)]


@pytest.mark.parametrize("kind", ERRORS)
def test_errors_cross_processes_whole(kind):
    assert issubclass(kind, npt.TransportError)
    facts = {name: f"the {name}" for base in kind.__mro__ for name in inspect.get_annotations(base)}
    error = kind("what happened", **facts)
    arrived = pickle.loads(pickle.dumps(error))
    assert (type(arrived), str(arrived), vars(arrived)) == (kind, "what happened", facts)
