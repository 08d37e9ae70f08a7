import asyncio

def tick(loop, n):
    print(f'tick {n}')
    if n == 3:
        loop.stop()
    else:
        loop.call_later(0.5, tick, loop, n + 1)

loop = asyncio.new_event_loop()
loop.call_soon(tick, loop, 1)
loop.run_forever()
print(f'running: {loop.is_running()}')
loop.close()
print(f'closed: {loop.is_closed()}')
