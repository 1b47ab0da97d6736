import multiprocessing.process
from collections.abc import Callable
from typing import Any

from thespian.actors import ActorAddress
from thespian.system.transport import Transport

class ChildInfo:
    childAddr: ActorAddress
    childRealAddr: ActorAddress
    childClass: Any
    childProc: multiprocessing.process.BaseProcess
    childNum: int
    incarnation: int
    def __init__(
        self,
        childAddr: ActorAddress,
        childClass: object,
        childProc: multiprocessing.process.BaseProcess,
        childNum: int,
    ) -> None: ...

class MultiProcReplicator:
    transport: Transport
    logDefs: dict[str, Any] | None
    _child_procs: list[ChildInfo]
    _retryPendingChildOperations: Callable[[int, ActorAddress | None], None]
    # Replaced by the repairs, hence attributes and not methods.
    _childExited: Callable[[Any, ActorAddress], None]
    childDied: Callable[..., bool]
    h_EndpointConnected: Callable[..., bool]
    h_WatchMessage: Callable[..., bool]
    run: Callable[..., None]
    @staticmethod
    def _checkChildLiveness(childInfo: ChildInfo) -> bool: ...

class MultiProcAdmin(MultiProcReplicator): ...
class MultiProcManager(MultiProcReplicator): ...
