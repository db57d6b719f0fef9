"""The names by which the parts of swapd speak of the same thing."""

from __future__ import annotations

from typing import NewType, TypeAlias

#: A model's ID as the configuration spells it: what clients ask for, aliases resolved.
ModelId = NewType("ModelId", str)

#: One request, load or unload on its way through the scheduler.
Ticket = NewType("Ticket", int)

#: One life of a model's process, counted from 1 per model.  What names a generation that
#: is over is ignored, so a late word about an old process can never touch a new one.
Generation = NewType("Generation", int)

#: One header of a message as it came: its name, and its value.
Header: TypeAlias = tuple[bytes, bytes]
