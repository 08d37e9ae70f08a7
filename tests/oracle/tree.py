# SPDX-License-Identifier: BSL-1.0
"""Scenarios as trees: nested lists here, (kind number …) in text. What the kinds mean is written in interpreter.py.

A program is ["scenario", block, cancel, …]; a block ["do", number, statement, …]; a cancel ["cancel_at", time, turns,
task]. The first number of a statement is its name in the log.
"""
import re


def to_text(tree):
    return f"({' '.join(to_text(part) for part in tree)})" if isinstance(tree, list) else str(tree)


def from_text(text):
    stack = [[]]
    for token in re.findall(r"[()]|[^\s()]+", text):
        if token == "(":
            stack.append([])
        elif token == ")":
            done = stack.pop()
            stack[-1].append(done)
        else:
            stack[-1].append(int(token) if token.lstrip("-").isdigit() else token)
    return stack[0][0]


def indented(tree, depth=0):
    """The text, with a line for each statement."""
    lines, flat = [], []
    for part in tree[1:]:
        if isinstance(part, list):
            lines.append(indented(part, depth + 1))
        else:
            flat.append(str(part))
    head = "  " * depth + "(" + " ".join([tree[0], *flat])
    return "\n".join([head, *lines]) + ")"


def numbers(node):
    return [part for part in node[1:] if not isinstance(part, list)]


def children(node):
    return [part for part in node[1:] if isinstance(part, list)]
