import asyncio

async def waiter(name, future):
    print(f'{name} waits')
    print(f'{name} got {await future}')

async def main():
    future = asyncio.get_running_loop().create_future()
    first = asyncio.create_task(waiter('first', future))
    second = asyncio.create_task(waiter('second', future))
    await asyncio.sleep(1)
    print(f'done before: {future.done()}')
    future.set_result('the result')
    await first
    await second
    print(f'again: {future.result()}')

asyncio.run(main())
