# SPDX-License-Identifier: BSL-1.0
"""Makes random scenarios: a seed gives the same one always, for the same version of Python.

Before 3.13 there are no groups and no uncancel() in them, since their counts were wrong then; before 3.12 a gather takes
only fresh tasks, since it did not end at once when all were done.
"""
import random
import sys


class _Generator:
    def __init__(self, seed, version):
        self.version = version
        self.random = random.Random(seed)
        self.number = 0
        self.budget = self.random.choice((8, 15, 25, 40))
        self.fine = self.random.random() < 0.5  # durations that hardly ever coincide

    def name(self):
        self.number += 1
        return self.number

    def duration(self, least=0):
        if self.fine and self.random.random() < 0.8:
            return self.random.randint(1, 97)
        return self.random.choice([d for d in (0, 0, 1, 1, 2, 3, 5, 8) if d >= least])

    def limit(self):
        """Of wait() and as_completed(): often none."""
        return -1 if self.random.random() < 0.5 else self.duration()

    def task(self):
        return self.random.randrange(12)

    def block(self, depth, longest=3):
        made = ["do", self.name()]
        for _ in range(self.random.randint(1, longest)):
            made.append(self.statement(depth))
        return made

    def operand(self, depth):
        return ["task", self.task()] if self.random.random() < 0.3 else self.block(depth)

    def operands(self, depth, most=3):
        return [self.operand(depth) for _ in range(self.random.randint(1, most))]

    def statement(self, depth):
        self.budget -= 1
        table = _SIMPLE if depth >= 5 or self.budget < 0 or self.random.random() < 0.45 else _NESTED
        table = [(k, w) for k, w in table if is_known(k, self.version)]
        kind = self.random.choices([k for k, _ in table], [w for _, w in table])[0]
        return [kind, self.name(), *getattr(self, "_" + kind, lambda _: [])(depth + 1)]

    # ---- what follows the name of a statement

    def _sleep(self, depth):
        return [self.duration()]

    def _ticks(self, depth):
        return [self.random.randint(1, 6)]

    def _join(self, depth):
        return [self.operand(depth)]

    _shield = _join

    def _gather(self, depth):
        some = self.operands(depth)
        return [self.random.randrange(2), *(o for o in some if self.version >= (3, 12) or o[0] == "do")]

    def _wait(self, depth):
        return [self.random.randrange(3), self.limit(), *self.operands(depth)]

    def _as_completed(self, depth):
        return [self.limit(), *self.operands(depth)]

    def _wait_for(self, depth):
        return [self.duration(least=1), self.block(depth)]

    def _wait_for_task(self, depth):
        return [self.duration(), self.operand(depth)]

    def _timeout(self, depth):
        return [self.duration(), self.block(depth)]

    def _reschedule(self, depth):
        return [self.duration()]

    def _group(self, depth):
        return [self.block(depth), *(self.block(depth) for _ in range(self.random.randint(0, 3)))]

    def _spawn(self, depth):
        return [self.block(depth)]

    _spawn_in = _spawn

    def _on_cancel(self, depth):
        return [self.random.randrange(4 if self.version >= (3, 13) else 3), self.block(depth), self.block(depth, 2)]

    def _on_error(self, depth):
        return [self.block(depth), self.block(depth, 2)]

    _finally = _on_error

    def _lock(self, depth):
        return [self.random.randrange(2), self.block(depth)]

    def _semaphore(self, depth):
        return [self.block(depth)]

    def _one_of_two(self, depth):
        return [self.random.randrange(2)]

    _put = _get = _put_nowait = _get_nowait = _task_done = _join_queue = _one_of_two
    _await_event = _set = _clear = _await_future = _resolve = _cancel_future = _one_of_two

    def _notify(self, depth):
        return [self.random.randint(1, 2)]

    def _cancel(self, depth):
        return [self.task()]

    _callback = _cancel

    def _later(self, depth):
        return [self.duration()]

    def cancellation(self):
        return ["cancel_at", self.duration(), self.random.choice((0, 0, 0, 1, 2, 3, 4)), self.task()]


_SIMPLE = [("sleep", 30), ("ticks", 6), ("raise", 7), ("cancel", 6), ("uncancel", 1), ("count", 2), ("callback", 3),
           ("soon", 1), ("later", 1), ("put", 3), ("get", 3), ("put_nowait", 2), ("get_nowait", 2), ("task_done", 1),
           ("join_queue", 1), ("await_event", 2), ("set", 2), ("clear", 1), ("await_change", 2), ("notify", 2),
           ("await_future", 2), ("resolve", 1), ("cancel_future", 1), ("reschedule", 1)]
_NESTED = [("gather", 10), ("wait", 7), ("as_completed", 5), ("wait_for", 8), ("wait_for_task", 4), ("timeout", 9),
           ("shield", 6), ("group", 11), ("spawn", 6), ("spawn_in", 3), ("join", 4), ("on_cancel", 10),
           ("on_error", 5), ("finally", 6), ("lock", 4), ("semaphore", 3)]


_SINCE = {"group": (3, 13), "spawn_in": (3, 13), "uncancel": (3, 13)}


def is_known(kind, version):
    return version >= _SINCE.get(kind, (3, 11))


def generate(seed, version=sys.version_info[:2]):
    """A program (tree.py). Its main task is number 0."""
    made = _Generator(seed, version)
    main = made.block(0, longest=4)
    while made.budget > 0:
        main.append(made.statement(0))
    return ["scenario", main, *(made.cancellation() for _ in range(made.random.choice((0, 1, 1, 2, 3))))]
