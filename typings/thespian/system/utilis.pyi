from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")

def partition(
    testPred: Callable[[T], bool], inp_iterable: Iterable[T]
) -> tuple[list[T], list[T]]: ...
