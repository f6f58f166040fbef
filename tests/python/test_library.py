"""What libcoop.so and libcoop.a are as files: names, flags, symbols, and what they are linked with."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import libcoop
import pytest

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT / "target" / "release" / "libcoop.so"
VERSION = re.findall(r'^version = "(.*)"$', (ROOT / "Cargo.toml").read_text(), re.MULTILINE)[0]


def output(*command: object) -> str:
    """What the command says, in both ways; it has to succeed."""
    done = subprocess.run([str(word) for word in command], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{command}: {done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def dynamic() -> dict[str, list[str]]:
    """The dynamic section: of each tag its values."""
    section: dict[str, list[str]] = {}
    for tag, value in re.findall(r"\((\w+)\)\s+(.*)", output("readelf", "-dW", SHARED)):
        section.setdefault(tag, []).append(value)
    return section


def test_programs_load_it_by_a_name_with_the_minor_version(dynamic: dict[str, list[str]]) -> None:
    assert dynamic["SONAME"] == [f"Library soname: [libcoop.so.{VERSION.rpartition('.')[0]}]"]


def test_it_stays_loaded_after_a_dlclose(dynamic: dict[str, list[str]]) -> None:
    assert "NODELETE" in dynamic["FLAGS_1"][0]


def test_it_needs_the_c_library_and_nothing_else(dynamic: dict[str, list[str]]) -> None:
    needed = {found for line in dynamic["NEEDED"] for found in re.findall(r"\[(.*)\]", line)}
    assert {name for name in needed if not re.match(r"(libc|libm|libgcc_s|ld-linux-.*)\.so", name)} == set()


def test_it_asks_for_no_executable_stack_and_no_writable_code(dynamic: dict[str, list[str]]) -> None:
    assert re.search(r"GNU_STACK.* RW ", output("readelf", "-lW", SHARED))
    assert "TEXTREL" not in dynamic


def test_it_exports_what_is_listed() -> None:
    output(ROOT / ".ci" / "symbols")


def test_static_programs_are_linked_with_what_rustc_names() -> None:
    # Dependencies are those that cargo test has compiled; the list is the same in each profile.
    said = output(
        "cargo", "rustc", "--locked", "-p", "coop-ffi", "--lib", "--crate-type", "staticlib",
        "--", "--print", "native-static-libs",
    )  # fmt: skip
    named = re.findall(r"native-static-libs: (.*)", said)[-1].split()
    ours = re.findall(
        r"else\(\)\s+set\(COOP_PRIVATE_LIBRARIES (.*)\)", (ROOT / "ffi/cmake/private-libraries.cmake").read_text()
    )
    assert list(dict.fromkeys(named)) == ours[0].split()


def test_all_surfaces_are_of_one_version() -> None:
    header = (ROOT / "include" / "coop.h").read_text()
    numbers = [
        re.findall(rf"^#define COOP_VERSION_{part} (\d+)$", header, re.MULTILINE)[0]
        for part in ("MAJOR", "MINOR", "PATCH")
    ]
    assert ".".join(numbers) == VERSION
    assert f'#define COOP_VERSION_STRING "{VERSION}"' in header
    assert libcoop.__version__ == VERSION
