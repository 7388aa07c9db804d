"""What a class says of itself: its kind, and docstrings, from which listings and documentation are made."""

from collections.abc import Sequence

from copl_core.config.signature import SHAPE, signature_of
from copl_core.testing.report import Failure, Report
from copl_core.testing.subject import Candidate

_CONTRACTS = "copl_core.contracts"


def check_class(
    report: Report, candidate: Candidate, contract: type, methods: Sequence[str] = (), *, scalar: bool = False
) -> None:
    """Check the class of a component, without building it.

    Args:
        report: Takes the failures.
        candidate: The component.
        contract: The class it has to derive from.
        methods: Methods that take or return tensors, and say of what shapes; those left to the contract have its
            docstring.
        scalar: The word "scalar" counts as a shape.
    """
    cls = candidate.cls
    report.check("class", _check_contract, cls, contract)
    report.check("docstring", _check_description, cls)
    report.check("docstring of arguments", _check_arguments, cls)
    for name in methods:
        report.check(f"docstring of {name}", _check_shapes, cls, name, scalar)


def _check_contract(cls: type, contract: type) -> None:
    if not issubclass(cls, contract):
        raise Failure(f"expected a subclass of copl_core.contracts.{contract.__name__}; derive {cls.__name__} from it")
    missing = signature_of(cls).abstract
    if missing:
        raise Failure(f"expected the whole contract, {', '.join(missing)} is not defined; define it")


def _check_description(cls: type) -> None:
    if not (cls.__doc__ or "").strip():
        raise Failure(f"expected one, {cls.__name__} has none; say in a line what it is")


def _check_arguments(cls: type) -> None:
    silent = [name for name, argument in signature_of(cls).settable.items() if not argument.doc]
    if silent:
        raise Failure(f"expected a line for each under Args, {', '.join(silent)} has none; say what it does")


def _check_shapes(cls: type, method: str, scalar: bool) -> None:
    owner = next((base for base in cls.__mro__ if method in vars(base)), None)
    if owner is None or owner.__module__.startswith(_CONTRACTS):
        return
    text = vars(owner)[method].__doc__ or ""
    if not SHAPE.search(text) and not (scalar and "scalar" in text):
        raise Failure("expected the shapes of its tensors, e.g. (BT, P, source) -> (BT, P, target); write them")
