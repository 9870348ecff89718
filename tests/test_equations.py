"""Every equation has one home and a test, and docs/equations.md says which."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest

equations = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("equations.py"))))


@pytest.mark.parametrize("number", equations.EQUATIONS)
def test_every_equation_has_one_home_and_a_test(number):
    found = equations.homes(equations.ROOT / "salt").get(number, [])
    assert len(found) == 1, f"Eq. ({number}) needs one home, a docstring that starts with its tag; it has {found}"
    assert equations.tests(equations.ROOT / "tests").get(number), f"no test's docstring names Eq. ({number})"


def test_there_are_no_other_equations():
    named = {*equations.homes(equations.ROOT / "salt"), *equations.tests(equations.ROOT / "tests")}
    assert named <= set(equations.EQUATIONS)


def test_the_page_is_fresh():
    assert equations.PAGE.read_text(encoding="utf-8") == equations.page(equations.ROOT), (
        "docs/equations.md is stale: run `python tests/equations.py --fix`"
    )


def test_a_tag_makes_a_home_only_at_the_start(tmp_path):
    (tmp_path / "salt").mkdir()
    (tmp_path / "tests").mkdir()
    (tmp_path / "salt" / "a.py").write_text(
        '"""Eq. (1): modules are no homes."""\n'
        "class A:\n"
        '    """Eq. (6), (14): twice | in the paper.\n\n    More, as in Eq. (2).\n    """\n'
        "    def b(self):\n"
        '        """See Eq. (3): a reference."""\n'
        "def c():\n"
        '    """Eq. (4) without a colon."""\n',
        encoding="utf-8",
    )
    (tmp_path / "tests" / "test_a.py").write_text(
        'def test_a():\n    """Something about Eq. (14), and Eq. (6)."""\n'
        'def test_b():\n    """Eq. (14)."""\n'
        'def other():\n    """Eq. (14)."""\n',
        encoding="utf-8",
    )
    found = equations.homes(tmp_path / "salt")
    assert found == {number: [("salt/a.py::A", "twice | in the paper.")] for number in (6, 14)}
    assert equations.tests(tmp_path / "tests") == {
        6: ["tests/test_a.py::test_a"],
        14: ["tests/test_a.py::test_a", "tests/test_a.py::test_b"],
    }
    assert equations.page(tmp_path).endswith(
        "| (6) | [`salt/a.py::A`](../salt/a.py) | twice \\| in the paper. | `tests/test_a.py::test_a` |\n"
        "| (14) | [`salt/a.py::A`](../salt/a.py) | twice \\| in the paper. | "
        "`tests/test_a.py::test_a`<br>`tests/test_a.py::test_b` |\n"
    )
