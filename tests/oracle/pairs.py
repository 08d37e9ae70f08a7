# SPDX-License-Identifier: BSL-1.0
"""Every way to wait inside every other one, cancelled from outside at each step: a table of scenarios."""


def _do(number, *statements):
    return ["do", number, *statements]


def _leaf(n):
    """Two turns, then some time, then two turns: enough for a cancellation to come at each kind of step."""
    return _do(n, ["ticks", n + 1, 2], ["sleep", n + 2, 4], ["ticks", n + 3, 2])


# name: (number, block inside) -> statement
WAYS = {
    "task": lambda n, block: ["join", n, block],
    "gather": lambda n, block: ["gather", n, 0, block, _leaf(n + 10)],
    "gather_return_exceptions": lambda n, block: ["gather", n, 1, block, _leaf(n + 10)],
    "wait": lambda n, block: ["wait", n, 0, -1, block, _leaf(n + 10)],
    "wait_first_completed": lambda n, block: ["wait", n, 1, 9, block, _leaf(n + 10)],
    "wait_first_exception": lambda n, block: ["wait", n, 2, 9, block, _leaf(n + 10)],
    "as_completed": lambda n, block: ["as_completed", n, 9, block, _leaf(n + 10)],
    "wait_for": lambda n, block: ["wait_for", n, 9, block],
    "wait_for_late": lambda n, block: ["wait_for", n, 3, block],
    "wait_for_task": lambda n, block: ["wait_for_task", n, 9, block],
    "timeout": lambda n, block: ["timeout", n, 9, block],
    "timeout_late": lambda n, block: ["timeout", n, 3, block],
    "shield": lambda n, block: ["shield", n, block],
    "task_group": lambda n, block: ["group", n, _do(n + 20, ["count", n + 21]), block, _leaf(n + 10)],
    "task_group_body": lambda n, block: ["group", n, block, _leaf(n + 10)],
    "finally": lambda n, block: ["finally", n, block, _do(n + 10, ["sleep", n + 11, 2])],
    "except": lambda n, block: ["on_cancel", n, 1, block, _do(n + 10, ["sleep", n + 11, 2])],
    "lock": lambda n, block: ["lock", n, 0, block],
    "semaphore": lambda n, block: ["semaphore", n, block],
}
# (time, turns after that)
STEPS = [(0, turns) for turns in range(6)] + [(2, 0), (3, 0), (3, 1), (3, 2), (4, 0)] + [(4, turns) for turns in (3, 5)]
NEWER = {"task_group", "task_group_body"}  # as generator.py has them


def pairs(version):
    """{name: program}; the main task is cancelled at the step, or never."""
    made = {}
    ways = {name: way for name, way in WAYS.items() if version >= (3, 13) or name not in NEWER}
    for outer, around in ways.items():
        for inner, inside in ways.items():
            for step in [None, *STEPS]:
                main = _do(1, around(100, _do(200, inside(300, _leaf(400)), ["sleep", 500, 1])), ["sleep", 2, 1])
                cancels = [] if step is None else [["cancel_at", *step, 0]]
                at = "never" if step is None else f"{step[0]}+{step[1]}"
                made[f"{inner} in {outer}, cancelled {at}"] = ["scenario", main, *cancels]
    return made
