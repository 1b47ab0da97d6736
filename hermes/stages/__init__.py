"""GenStage without I/O: stages that send events no faster than they are asked for.

Cores follow Elixir's gen_stage 1.3.2; the one deviation is described in `producer`.
"""

from hermes.stages.consumer import Consumer, NoBatchInHand
from hermes.stages.dispatcher_broadcast import BroadcastDispatcher
from hermes.stages.dispatcher_demand import DemandDispatcher
from hermes.stages.dispatcher_partition import PartitionDispatcher
from hermes.stages.effects import (
    Effect,
    Effects,
    HandleCancel,
    HandleDemand,
    HandleEvents,
    HandleSubscribe,
    RefuseSubscription,
    ReportDiscarded,
    SendAsk,
    SendCancel,
    SendCancelled,
    SendEvents,
    SendSubscribe,
    StopStage,
    Warn,
    carry_out,
)
from hermes.stages.producer import Producer
from hermes.stages.producer_consumer import ProducerConsumer
from hermes.stages.subscription import BadOptions

__all__ = [
    "BadOptions",
    "BroadcastDispatcher",
    "Consumer",
    "DemandDispatcher",
    "Effect",
    "Effects",
    "HandleCancel",
    "HandleDemand",
    "HandleEvents",
    "HandleSubscribe",
    "NoBatchInHand",
    "PartitionDispatcher",
    "Producer",
    "ProducerConsumer",
    "RefuseSubscription",
    "ReportDiscarded",
    "SendAsk",
    "SendCancel",
    "SendCancelled",
    "SendEvents",
    "SendSubscribe",
    "StopStage",
    "Warn",
    "carry_out",
]
