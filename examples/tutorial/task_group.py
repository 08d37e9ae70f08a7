import asyncio

async def fetch(name, delay):
    try:
        await asyncio.sleep(delay)
        print(f'{name} is here')
    except asyncio.CancelledError:
        print(f'{name} is cancelled')
        raise

async def fail(delay):
    await asyncio.sleep(delay)
    raise RuntimeError('the mirror is gone')

async def main():
    async with asyncio.TaskGroup() as group:
        for name in ('one', 'two', 'three'):
            group.create_task(fetch(name, 1))
        print('all started')
    print('all ended')

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(fetch('quick', 0.2))
            group.create_task(fail(0.5))
            group.create_task(fetch('slow', 3600))
    except* RuntimeError as errors:
        for error in errors.exceptions:
            print(f'failed: {error}')

asyncio.run(main())
