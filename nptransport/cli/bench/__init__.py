"""How fast this machine moves arrays, with us and with what else there is: ``nptransport bench``.

candidates.py   what can be measured, by name
plan.py         which of it, at which sizes, how often, and how long that takes
run.py          the rounds, in which everybody takes turns
turn.py         one turn: two fresh processes, and what they say
child.py        such a process
fork_server.py  where they come from
content.py      the arrays that are sent, and the check of what arrived
programs/       the measured code itself, one file for each way of moving arrays
figures.py      medians, spread and ratios
machine.py      what it was measured on
table.py, plot/, lines.py   for people, for a talk, for programs
cells.py        what stands in the tables
"""
