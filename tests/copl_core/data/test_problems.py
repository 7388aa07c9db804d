import pytest

from copl_core.api import DataError
from copl_core.data import Problem, refuse


def test_problems_are_told_in_one_table() -> None:
    problems = [Problem("Annotations.txt:7", "end 3 is before start 5"), Problem("a.mp4", "no audio track")]

    with pytest.raises(DataError) as caught:
        refuse(problems, "split 'train' of AVE")

    assert str(caught.value) == (
        "split 'train' of AVE: 2 problems:\n"
        "  Annotations.txt:7  end 3 is before start 5\n"
        "  a.mp4              no audio track"
    )


@pytest.mark.parametrize("count", [1, 20, 21, 4097])
def test_at_most_twenty_rows_and_the_number_of_the_rest(count: int) -> None:
    with pytest.raises(DataError) as caught:
        refuse([Problem(f"list.csv:{index}", "wrong") for index in range(count)], "list")

    lines = str(caught.value).splitlines()
    assert lines[0].split(": ")[1].split()[0] == str(count)
    assert lines[1].endswith("wrong")
    assert sum("list.csv:" in line for line in lines) == min(count, 20)
    assert lines[-1] == f"  ... and {count - 20} more" if count > 20 else "more" not in lines[-1]


def test_reason_of_several_lines_stays_in_its_row() -> None:
    with pytest.raises(DataError) as caught:
        refuse([Problem("a.mp4", "first\nsecond")], "list")

    assert str(caught.value).splitlines()[1:] == ["  a.mp4  first", "         second"]


def test_nothing_to_refuse_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="at least one problem"):
        refuse([], "list")
