import asyncio
from contextlib import aclosing

async def stop_clock():
    await asyncio.sleep(0.1)
    print('clock stopped')

async def ticks():
    i = 1
    try:
        while True:
            await asyncio.sleep(0.2)
            yield i
            i += 1
    finally:
        await stop_clock()

async def listen(clock):
    async for n in clock:
        print(f'tick {n}')
        if n == 3:
            break

async def main():
    async with aclosing(ticks()) as clock:
        await listen(clock)
    print('after the clock')

asyncio.run(main())
