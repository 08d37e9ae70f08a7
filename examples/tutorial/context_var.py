import asyncio
from contextvars import ContextVar

request_id = ContextVar('request_id', default='nobody')

def log(what):
    print(f'[{request_id.get()}] {what}')

async def query():
    log('query')
    await asyncio.sleep(0.2)
    log('answer')

async def handle(id, delay):
    request_id.set(id)
    log('begins')
    await asyncio.sleep(delay)
    await asyncio.create_task(query())
    log('ends')

async def main():
    await asyncio.gather(handle('first', 0.3), handle('second', 0.15))
    log('main')

asyncio.run(main())
