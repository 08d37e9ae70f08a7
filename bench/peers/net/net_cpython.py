# SPDX-License-Identifier: BSL-1.0
"""The servers of bench/net.py in Python.

Usage: net_cpython.py asyncio|uvloop streams|protocol echo|pieces
"""
import asyncio
import sys

MOST = 256 * 1024
REQUEST = 1024
PIECE = 64


async def echo(reader, writer):
    while data := await reader.read(MOST):
        writer.write(data)
        await writer.drain()
    writer.close()


async def answer_in_pieces(reader, writer):
    try:
        while True:
            data = await reader.readexactly(REQUEST)
            for at in range(0, REQUEST, PIECE):
                writer.write(data[at:at + PIECE])
            await writer.drain()
    except asyncio.IncompleteReadError:
        writer.close()


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


class AnswerInPieces(Echo):
    def connection_made(self, transport):
        super().connection_made(transport)
        self.gathered = b""

    def data_received(self, data):
        self.gathered += data
        if len(self.gathered) < REQUEST:
            return
        data, self.gathered = self.gathered, b""
        for at in range(0, REQUEST, PIECE):
            self.transport.write(data[at:at + PIECE])


async def serve(face, mode):
    options = {"host": "127.0.0.1", "port": 0, "backlog": 4096}
    if face == "streams":
        server = await asyncio.start_server(echo if mode == "echo" else answer_in_pieces, **options)
    else:
        protocol = Echo if mode == "echo" else AnswerInPieces
        server = await asyncio.get_running_loop().create_server(protocol, **options)
    print("LISTENING", server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main(loop, face, mode):
    # CPython's recv() allocates 256 KiB and gives most of it back: three system calls more for each, unless malloc has
    # learned from a larger block that came and went that such blocks are not worth a mapping of their own.
    bytes(1024 * 1024)
    if loop == "uvloop":
        import uvloop
        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    asyncio.run(serve(face, mode))


main(*sys.argv[1:])
