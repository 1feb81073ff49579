"""What ``nptransport demo`` does: a camera films photographs, viewers in other processes share its frames.

pictures.py   photographs, and the film that a moving camera makes of them
camera.py     the process that sends
viewer.py     the processes that receive; each sends tallies back, over nptransport again
tally.py      the tallies, and whether everything arrived
children.py   the processes: started, watched, ended
screen.py     the live table, or a line a second where there is no terminal
show.py       the whole performance
"""
