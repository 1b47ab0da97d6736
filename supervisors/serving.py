"""What a request to a running supervisor leads to (OTP: handle_call)."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, replace
from typing import assert_never

from supervisors.calls import (
    ChildCounts,
    ChildEntry,
    ChildList,
    CountChildren,
    DeleteChild,
    Refusal,
    Refused,
    Request,
    RestartChild,
    StartChild,
    StartInstance,
    TerminateChild,
    WhichChildren,
)
from supervisors.child_spec import AutoShutdown, ChildSpec, ChildType, spec_faults
from supervisors.children import Child, Children, ChildState


@dataclass(frozen=True, slots=True)
class Begin:
    """Start this child; with `new` it is first added at the end."""

    id: str
    new: ChildSpec | None = None
    args: tuple[object, ...] = ()


@dataclass(frozen=True, slots=True)
class End:
    """Stop this child."""

    id: str


@dataclass(frozen=True, slots=True)
class Forget:
    """Drop this child's spec."""

    id: str


Decision = Begin | End | Forget | Refused | ChildList | ChildCounts


class Desk:
    """Decides on requests; `template` is the one spec of a simple_one_for_one supervisor."""

    def __init__(
        self, children: Children, auto_shutdown: AutoShutdown, template: ChildSpec | None
    ) -> None:
        self._children = children
        self._auto_shutdown = auto_shutdown
        self._template = template
        self._instance_count = 0

    def decide(self, request: Request, dead: Container[int]) -> Decision:
        """Judge a request; `dead` are incarnations whose end is known and not yet dealt with."""
        match request:
            case StartChild(spec=spec):
                return self._start_child(spec)
            case StartInstance(args=args):
                return self._start_instance(args)
            case TerminateChild(child=child):
                return self._terminate_child(child)
            case RestartChild(id=id_):
                return self._while_down(id_, Begin(id_))
            case DeleteChild(id=id_):
                return self._while_down(id_, Forget(id_))
            case WhichChildren():
                return ChildList(tuple(_entry(child) for child in self._children))
            case CountChildren():
                return self._count(dead)
            case _ as never:
                assert_never(never)

    def _start_child(self, spec: ChildSpec) -> Decision:
        if self._template is not None:
            return Refused(Refusal.SIMPLE_ONE_FOR_ONE)
        faults = spec_faults((spec,), self._auto_shutdown)
        if faults:
            return Refused(Refusal.FAULTY_SPEC, faults=faults)
        present = self._children.find(spec.id)
        if present is None:
            return Begin(spec.id, new=spec)
        if present.state is ChildState.UP:
            return Refused(Refusal.ALREADY_STARTED, pid=present.pid)
        return Refused(Refusal.ALREADY_PRESENT)

    def _start_instance(self, args: tuple[object, ...]) -> Decision:
        if self._template is None:
            fault = "only simple_one_for_one supervisors start instances of a template"
            return Refused(Refusal.FAULTY_SPEC, faults=(fault,))
        self._instance_count += 1
        id_ = f"{self._template.id}:{self._instance_count}"
        return Begin(id_, new=replace(self._template, id=id_), args=args)

    def _terminate_child(self, named: str | int) -> Decision:
        if self._template is None:
            child = self._children.find(named) if isinstance(named, str) else None
        elif isinstance(named, str):
            return Refused(Refusal.SIMPLE_ONE_FOR_ONE)
        else:
            child = self._children.find_last(named)
        return Refused(Refusal.NOT_FOUND) if child is None else End(child.id)

    def _while_down(self, id_: str, granted: Begin | Forget) -> Decision:
        if self._template is not None:
            return Refused(Refusal.SIMPLE_ONE_FOR_ONE)
        child = self._children.find(id_)
        if child is None:
            return Refused(Refusal.NOT_FOUND)
        match child.state:
            case ChildState.DOWN:
                return granted
            case ChildState.RESTARTING:
                return Refused(Refusal.RESTARTING)
            case ChildState.UP | ChildState.STARTING | ChildState.STOPPING:
                return Refused(Refusal.RUNNING)
            case _ as never:
                assert_never(never)

    def _count(self, dead: Container[int]) -> ChildCounts:
        children = tuple(self._children)
        supervisors = sum(child.spec.type is ChildType.SUPERVISOR for child in children)
        return ChildCounts(
            specs=len(children) if self._template is None else 1,
            active=sum(
                child.state is ChildState.UP and child.incarnation not in dead for child in children
            ),
            supervisors=supervisors,
            workers=len(children) - supervisors,
        )


def _entry(child: Child) -> ChildEntry:
    return ChildEntry(
        id=child.id,
        pid=child.pid,
        is_restarting=child.state is ChildState.RESTARTING,
        type=child.spec.type,
    )
