import asyncio
from contextlib import AsyncExitStack

class Connection:
    def __init__(self, name):
        self.name = name

    async def __aenter__(self):
        await asyncio.sleep(0.05)
        print(f'{self.name} opened')
        return self

    async def __aexit__(self, *exception):
        await asyncio.sleep(0.05)
        print(f'{self.name} closed')

async def main(count):
    async with AsyncExitStack() as stack:
        for i in range(count):
            opened = await stack.enter_async_context(Connection(f'connection {i}'))
            print(f'using {opened.name}')
            if i == 1:
                stack.callback(print, 'callback')
    print('all closed')

asyncio.run(main(3))
