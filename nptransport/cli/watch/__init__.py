"""Looking at streams as they go by: what ``top`` and ``view`` have in common, and the table of ``top``.

feed.py      a Subscriber whose bad messages and silences raise nothing
outline.py   a payload in a few words, and the arrays inside it by their path
meter.py     how fast a stream is, and how late, over the last seconds
board.py     a meter for each stream, sorted
table.py     the board as a table, as lines, as JSON
top.py       one run of ``top``
screen.py    the whole terminal, painted anew; keys.py what is typed there
"""
