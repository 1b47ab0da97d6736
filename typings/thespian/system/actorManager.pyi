from thespian.actors import Actor
from thespian.system.multiprocCommon import MultiProcReplicator

class ActorManager(MultiProcReplicator):
    actorInst: Actor | None
