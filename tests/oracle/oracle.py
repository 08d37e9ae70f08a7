# SPDX-License-Identifier: BSL-1.0
"""What the scenarios run on in Python: CPython's event loop on a clock that jumps, and a log of what happened.

wait_for() is the one of CPython 3.12, which is made of timeout().
"""
import asyncio

from virtual_loop import VirtualLoop


async def wait_for(awaitable, limit):
    async with asyncio.timeout(limit):
        return await awaitable


class Log:
    def __init__(self):
        self.lines = []

    def __call__(self, text):
        now = asyncio.get_running_loop().time()
        self.lines.append(f"{round(now * 1000)} {text}")


async def ending(awaitable):
    """How an awaitable ended, in words that both languages know."""
    try:
        value = await awaitable
    except asyncio.CancelledError as error:
        return f"cancelled({error.args[0]})" if error.args and error.args[0] else "cancelled"
    except TimeoutError:
        return "timeout"
    except Exception as error:
        return f"error({error})"
    return "done" if value is None or value is True else str(value)


async def ticks(log, count):
    """Writes down every turn of the loop, so that hops between turns can be seen."""
    for i in range(count):
        log(f"tick {i}")
        await asyncio.sleep(0)


async def settle():
    for _ in range(20):
        await asyncio.sleep(0)


async def after(delay, value):
    await asyncio.sleep(delay)
    return value


async def fail_after(delay, what):
    await asyncio.sleep(delay)
    raise RuntimeError(what)


def run_scenario(function):
    """The lines of one scenario."""
    log = Log()
    loop = VirtualLoop()
    loop.set_exception_handler(lambda _, context: log(f"handler: error({context.get('exception')})"))
    try:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(function(log))
    finally:
        asyncio.set_event_loop(None)
        loop.close()
    return log.lines
