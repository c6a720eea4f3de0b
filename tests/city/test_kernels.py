"""Where machine code is kept."""

from pathlib import Path

from hanmaru.city import kernels


def test_a_change_of_any_kernels_file_names_another_folder_and_no_other_change_does(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    caller, callee, plain = tmp_path / "caller.py", tmp_path / "deep" / "callee.py", tmp_path / "plain.py"
    caller.write_text("from hanmaru.city.kernels import kernel")
    callee.write_text("from numba import njit")
    plain.write_text("x = 1")
    before = kernels.version(tmp_path)
    plain.write_text("x = 2")
    assert kernels.version(tmp_path) == before
    callee.write_text("from numba import njit\n# changed")
    assert kernels.version(tmp_path) != before


def test_compiled_kernels_lie_in_this_versions_folder() -> None:
    folder = Path(kernels.numba.config.CACHE_DIR)  # pyright: ignore
    assert folder.name == f"kernels-{kernels.version(kernels.PACKAGE)}"
    kernels.draw(kernels.stream(1, 2, 3, 4), 5)
    assert list(folder.rglob("kernels.draw*.nbi"))
