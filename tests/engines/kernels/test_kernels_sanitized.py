"""The kernels under AddressSanitizer and UBSan, and that these see what they are for: a lost bounds
check, a read behind the frame."""

import pytest

from tests.support.cpu_kernels import build, sanitized

SCRIPT = "all_kernels_once.py"


def test_nothing_is_touched_outside_its_memory():
    status, out, errors = sanitized(SCRIPT, build(sanitize="asan"), "asan", "pixels")
    assert (status, out) == (0, "done\n"), errors


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        pytest.param("if (x >= SMALL || y >= SMALL)", "if (x > SMALL)", "pixels", id="small"),
        pytest.param("x >= PATCH || y >= PATCH", "x > PATCH", "pixels", id="patch"),
        pytest.param("if (shift)", "if (1)", "pixels", id="packed"),
        pytest.param("i < size ? i : 2 * size", "i <= size ? i : 2 * size", "pixels", id="edge"),
        pytest.param("if (cell >= CELLS)", "if (cell > CELLS + 99)", "", id="cell"),
        pytest.param("if (rank < MOST)", "if (rank >= 0)", "", id="rank"),
        pytest.param("lane < slots && lane < MOST", "lane < MOST", "", id="slots"),
    ],
)
def test_memory_errors_are_seen(old, new, parts):
    library = build([(old, new)], sanitize="asan")
    status, _, errors = sanitized(SCRIPT, library, "asan", parts)
    assert status != 0
    assert "AddressSanitizer" in errors or "runtime error" in errors


def test_a_barrier_is_seen():
    change = ("result->scores[cell] = own;", "__syncthreads(); result->scores[cell] = own;")
    status, _, errors = sanitized(SCRIPT, build([change], sanitize="asan"), "asan")
    assert status != 0
    assert "cuda_on_cpu: a barrier" in errors
