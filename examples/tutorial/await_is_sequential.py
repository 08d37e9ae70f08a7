import asyncio
import time

async def job(name, seconds):
    print(f'{name} starts')
    await asyncio.sleep(seconds)
    print(f'{name} ends')

async def main():
    started = time.monotonic()
    await job('first', 1)
    await job('second', 2)
    print(f'{time.monotonic() - started:.0f} seconds: the sum')

asyncio.run(main())
