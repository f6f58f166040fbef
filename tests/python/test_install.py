"""libcoop as C and C++ users install and link it: outside the tree, shared and static, in each way that there is."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "tests" / "install"
LIBRARIES = ROOT / "target" / "release"
VERSION = re.findall(r'^version = "(.*)"$', (ROOT / "Cargo.toml").read_text(), re.MULTILINE)[0]
SONAME = "libcoop.so." + VERSION.rpartition(".")[0]
C_SAYS, CPP_SAYS = f"C: 1 task, coop {VERSION}\n", f"C++: 1 post, coop {VERSION}\n"


def run(*command: object, succeeds: bool = True, **environment: str) -> str:
    """What the command prints, in an environment that says nothing about libcoop but what is given."""
    kept = {name: value for name, value in os.environ.items() if not re.match("PKG_CONFIG|CMAKE|DESTDIR|LD_", name)}
    done = subprocess.run(
        [str(word) for word in command],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=kept | environment,
        timeout=300,
    )
    assert (done.returncode == 0) == succeeds, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout if succeeds else done.stdout + done.stderr


def cmake_programs(source: Path, build: Path, *options: object) -> None:
    """Configures the user's project and builds and runs its four programs."""
    run("cmake", "-S", source, "-B", build, *options)
    run("cmake", "--build", build, "--parallel", 2)
    for kind in ("shared", "static"):
        assert run(build / f"c_{kind}") == C_SAYS
        assert run(build / f"cpp_{kind}") == CPP_SAYS
        for program in ("c", "cpp"):
            needed = re.findall(r"NEEDED.*\[(.*)\]", run("readelf", "-d", build / f"{program}_{kind}"))
            assert (SONAME in needed) == (kind == "shared"), needed


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prefix that libcoop is installed under by `make install`, and then moved."""
    folder = tmp_path_factory.mktemp("make")
    run("make", "-C", ROOT, "install", PREFIX=str(folder / "at first"), DESTDIR="", PATH=os.environ["PATH"])
    return (folder / "at first").rename(folder / "moved")


def library_dir(prefix: Path) -> Path:
    """Where its libraries are: lib, lib64, lib/x86_64-linux-gnu, as the system has it."""
    return next(prefix.rglob("libcoop.a")).parent


def test_what_is_installed(prefix: Path) -> None:
    libraries = library_dir(prefix)
    headers = sorted(str(path.relative_to(ROOT / "include")) for path in (ROOT / "include").rglob("*.h*"))
    include = prefix / "include"
    assert sorted(str(path.relative_to(include)) for path in include.rglob("*") if path.is_file()) == headers
    assert (libraries / "libcoop.so").readlink() == Path(SONAME)
    assert (libraries / SONAME).readlink() == Path(f"libcoop.so.{VERSION}")
    assert (libraries / f"libcoop.so.{VERSION}").read_bytes() == (LIBRARIES / "libcoop.so").read_bytes()
    assert (prefix / "share" / "coop" / "tsan.supp").is_file()


def test_find_package(prefix: Path, tmp_path: Path) -> None:
    wanted = VERSION.rpartition(".")[0]
    cmake_programs(SOURCES / "find_package", tmp_path, f"-DCMAKE_PREFIX_PATH={prefix}", f"-DCOOP_WANTED={wanted}")


@pytest.mark.parametrize("wanted", ["0.9", "1.0", "0.0.9"])
def test_find_package_refuses_other_versions(prefix: Path, tmp_path: Path, wanted: str) -> None:
    said = run(
        "cmake", "-S", SOURCES / "find_package", "-B", tmp_path,
        f"-DCMAKE_PREFIX_PATH={prefix}", f"-DCOOP_WANTED={wanted}", succeeds=False,
    )  # fmt: skip
    assert "compatible with requested version" in " ".join(said.split())
    assert f"version: {VERSION}" in said


def test_add_subdirectory(tmp_path: Path) -> None:
    cmake_programs(SOURCES / "add_subdirectory", tmp_path, f"-DCOOP_SOURCE_DIR={ROOT}")
    assert "COOP_INSTALL:BOOL=OFF" in (tmp_path / "CMakeCache.txt").read_text()


@pytest.mark.parametrize(
    ("compiler", "program", "says"), [("cc -std=c99", "c", C_SAYS), ("c++ -std=c++20", "cpp", CPP_SAYS)]
)
@pytest.mark.parametrize("static", [False, True])
def test_pkg_config(prefix: Path, tmp_path: Path, compiler: str, program: str, says: str, static: bool) -> None:
    libraries = library_dir(prefix)

    def ask(*options: str) -> list[str]:
        return (
            run("pkg-config", *options, "coop", PKG_CONFIG_PATH=str(libraries / "pkgconfig"))
            .replace("\\ ", " ")
            .split()
        )

    assert ask("--modversion") == [VERSION]
    flags = ask("--cflags", "--libs", *(["--static"] if static else []))
    if static:
        # The linker prefers the shared library; whoever wants the static one names it, or has no other.
        flags = [str(libraries / "libcoop.a") if flag == "-lcoop" else flag for flag in flags]
    run(*compiler.split(), SOURCES / f"program.{program}", *flags, "-o", tmp_path / "program")
    assert run(tmp_path / "program", LD_LIBRARY_PATH="" if static else str(libraries)) == says


def test_cmake_install_honours_destdir(tmp_path: Path) -> None:
    run("cmake", "-S", ROOT, "-B", tmp_path / "build", "-DCMAKE_INSTALL_PREFIX=/usr", f"-DCOOP_BUILD_DIR={LIBRARIES}")
    run("cmake", "--install", tmp_path / "build", DESTDIR=str(tmp_path / "stage"))
    installed = tmp_path / "stage" / "usr"
    assert (installed / "include" / "coop.h").is_file()
    # The staged tree names none of the places that it was made in.
    for text in (*library_dir(installed).rglob("*.cmake"), *library_dir(installed).rglob("*.pc")):
        assert not re.search(f"{re.escape(str(tmp_path))}|{re.escape(str(ROOT))}", text.read_text()), text
    # And again over it, as packagers do.
    run("cmake", "--install", tmp_path / "build", "--prefix", installed)
    shutil.rmtree(installed)


def test_make_install_refuses_a_relative_prefix() -> None:
    said = run("make", "-C", ROOT, "install", PREFIX="usr", succeeds=False)
    assert "PREFIX is 'usr'; allowed: an absolute path" in said
