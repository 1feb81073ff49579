"""Files of arrays as messages, and messages as files again.

words.py      the messages: what is said, and the check of what a peer said
names.py      which names of files and members may travel
npyheader.py  the header of an .npy file, read and written on any stream
sources.py    FILE → arrays, piece by piece; media.py the same for images and video
sending.py    arrays → words → Producer
receiving.py  words → files, for any number of senders; knows no socket
intake.py     one run of ``recv``: when it ends; line.py the same for ``send``
incoming.py   one file on its way in; containers.py how it is written, cut.py how it is cut into pieces
partfile.py   a file that appears under its name when it is whole
digest.py     the fingerprint of an array that ``--verify`` compares
"""
