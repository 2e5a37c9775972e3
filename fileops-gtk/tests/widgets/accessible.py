"""Prints what is accessible in a window of a process: a line each with role, name, and "focusable" where it is.

usage: accessible.py PID TITLE
"""

import sys
import time

import gi

gi.require_version("Atspi", "2.0")
from gi.repository import Atspi  # noqa: E402

PID, TITLE = int(sys.argv[1]), sys.argv[2]
FOCUSABLE, VISIBLE = Atspi.StateType.FOCUSABLE, Atspi.StateType.VISIBLE


def children(node):
    return [child for at in range(node.get_child_count()) if (child := node.get_child_at_index(at)) is not None]


def windows():
    for program in children(Atspi.get_desktop(0)):
        if program.get_process_id() == PID:
            yield from (window for window in children(program) if window.get_name() == TITLE)


def tell(node):
    states = node.get_state_set()
    # GTK 4.8 says of windows alone that they are showing.
    if not states.contains(VISIBLE):
        return
    is_focusable = "focusable" if states.contains(FOCUSABLE) else ""
    print("\t".join([node.get_role_name(), node.get_name().replace("\n", " ").replace("\t", " "), is_focusable]))
    for child in children(node):
        tell(child)


def has_focusable(node):
    states = node.get_state_set()
    return (states.contains(FOCUSABLE) and states.contains(VISIBLE)) or any(has_focusable(child) for child in children(node))


# A window that was just shown is not on the bus yet, or is not there with all that is in it.
end = time.monotonic() + 20
found = []
while not any(has_focusable(window) for window in found) and time.monotonic() < end:
    time.sleep(0.05)
    found = list(windows())
    for window in found:
        window.clear_cache()
if not found:
    sys.exit(f"no window “{TITLE}” of {PID} is accessible")
for window in found:
    tell(window)
