# The part of aiosmpplib 0.7.4 that hermes.adapters.link_aiosmpplib uses; the package has no py.typed.
import asyncio
from enum import IntEnum
from logging import Handler

class SmppCommand(IntEnum):
    SUBMIT_SM = 4

class SmppCommandStatus(IntEnum):
    ESME_ROK = 0

class SmppSessionState(IntEnum):
    OPEN = 1
    BOUND_TX = 2
    BOUND_RX = 3
    BOUND_TRX = 4
    CLOSED = 5

class BindMode(IntEnum):
    TRANSMITTER = 1
    RECEIVER = 2
    TRANSCEIVER = 3
    @property
    def session_state(self) -> SmppSessionState: ...

class PduHeader:
    pdu_length: int
    smpp_command: int
    command_status: int
    sequence_num: int
    def __init__(
        self, pdu_length: int, smpp_command: int, command_status: int, sequence_num: int
    ) -> None: ...

class SmppMessage:
    sequence_num: int
    command_status: SmppCommandStatus
    def __init__(self, sequence_num: int = 0, command_status: SmppCommandStatus = ...) -> None: ...
    @property
    def smpp_command(self) -> SmppCommand: ...
    def pdu(self) -> bytes: ...

class AbstractBroker:
    async def enqueue(self, message: SmppMessage) -> None: ...
    async def dequeue(self) -> SmppMessage: ...

class AbstractHook:
    async def sending(self, smpp_message: SmppMessage, pdu: bytes, client_id: str) -> None: ...
    async def received(
        self, smpp_message: SmppMessage | None, pdu: bytes, client_id: str
    ) -> None: ...
    async def send_error(
        self, smpp_message: SmppMessage, error: Exception, client_id: str
    ) -> None: ...

class AbstractCorrelator:
    async def put(self, smpp_message: SmppMessage) -> None: ...
    async def get(self, response: SmppMessage) -> SmppMessage | None: ...
    async def expired(self, smpp_message: SmppMessage) -> None: ...
    async def get_segmented(
        self, smpp_seq_num: int, remove: bool = False
    ) -> tuple[object | None, int]: ...
    async def put_delivery(self, smsc_message_id: str, submit_sm: SmppMessage) -> None: ...
    async def get_delivery(self, receipt: SmppMessage) -> SmppMessage | None: ...
    async def put_delivery_segmented(self, deliver_sm: SmppMessage) -> SmppMessage | None: ...
    def get_cumulated_status(self, ref_num: int) -> int: ...

class AbstractThrottleHandler:
    async def throttled(self) -> None: ...
    async def not_throttled(self) -> None: ...
    async def allow_request(self) -> bool: ...
    async def throttle_delay(self) -> float: ...

class AbstractSequenceGenerator:
    def next_sequence(self) -> int: ...

class ESME:
    bind_mode: BindMode
    sequence_generator: AbstractSequenceGenerator
    _session_state: SmppSessionState
    _reader: asyncio.StreamReader | None
    _writer: asyncio.StreamWriter | None
    _bound: asyncio.Event
    _drain_lock: asyncio.Lock
    def __init__(
        self,
        smsc_host: str,
        smsc_port: int,
        system_id: str,
        password: str,
        *,
        bind_mode: BindMode = ...,
        log_level: int = ...,
        log_handler: Handler | None = None,
        hook: AbstractHook | None = None,
        broker: AbstractBroker | None = None,
        throttle_handler: AbstractThrottleHandler | None = None,
        correlator: AbstractCorrelator | None = None,
    ) -> None: ...
    async def connect(self) -> None: ...
    async def _get_pdu(self) -> tuple[bytes, PduHeader]: ...
    async def _receive_data(self) -> bytes | None: ...
    async def _dequeue_messages(self) -> dict[str, object]: ...
    async def _handle_request(self, pdu: bytes, header: PduHeader) -> SmppMessage | None: ...
    async def _handle_response(self, pdu: bytes, header: PduHeader) -> SmppMessage | None: ...
