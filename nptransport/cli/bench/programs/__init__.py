"""The measured programs, each two functions, one a process: ``serve_NAME`` waits at an address, ``drive_NAME`` comes.

Both are context managers that give a :class:`~.side.Side`. The same
number of messages may wait at every candidate, so that none of them is measured with more memory than another.
"""
