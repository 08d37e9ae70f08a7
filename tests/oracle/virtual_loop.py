# SPDX-License-Identifier: BSL-1.0
"""CPython's event loop with a clock that jumps: whoever would wait moves it to the earliest timer instead.

Deadlines that are equal fire in the order of their calls, as they do in C++ (CPython leaves that open).
"""
import asyncio
import heapq


class _Timer(asyncio.TimerHandle):
    __slots__ = ("_order",)

    def __lt__(self, other):
        return (self._when, self._order) < (other._when, other._order)


class _JumpingSelector:
    """Nothing ever happens on a descriptor; whoever would wait moves the clock to the earliest timer instead."""

    def __init__(self, loop, selector):
        self._loop = loop
        self._selector = selector

    def __getattr__(self, name):
        return getattr(self._selector, name)

    def select(self, timeout):
        if timeout is None:
            raise RuntimeError("nothing will ever happen again")
        if timeout > 0:
            self._loop.now = self._loop._scheduled[0]._when
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self):
        super().__init__()
        self.now = 0.0
        self._clock_resolution = 1e-6
        self._selector = _JumpingSelector(self, self._selector)
        self._timers = 0

    def time(self):
        return self.now

    def call_at(self, when, callback, *args, context=None):
        self._check_closed()
        self._timers += 1
        timer = _Timer(when, callback, args, self, context)
        timer._order = self._timers
        timer._scheduled = True
        heapq.heappush(self._scheduled, timer)
        return timer
