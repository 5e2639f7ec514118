"""Standard input and output as streams of the event loop."""

import asyncio
import os


async def open_stdio() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Of pipes, sockets and terminals; what is read is a buffer's worth ahead at most. They are
    copies, for the loop closes what it is given."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    taken, given = os.fdopen(os.dup(0), "rb", 0), os.fdopen(os.dup(1), "wb", 0)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), taken)
    transport, protocol = await loop.connect_write_pipe(
        lambda: asyncio.streams.FlowControlMixin(loop=loop), given
    )
    return reader, asyncio.StreamWriter(transport, protocol, None, loop)
