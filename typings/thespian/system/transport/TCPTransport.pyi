from collections.abc import Callable
from typing import Any

serializer: Any

class TCPTransport:
    # Replaced by a repair, hence an attribute and not a method.
    close: Callable[[Any], None]
