"""Any array as something to look at, and ``view``, which goes on doing that.

choose.py   which part of an array is shown, and whether as a picture, as curves or as a value
numbers.py  elements of any dtype as real numbers, and what they range over
scale.py    numbers as pixels
blocks.py   pixels as characters
plot.py     curves as characters, or as a PNG
shown.py    all of that for one payload
view.py     the newest payload, for as long as somebody looks
"""
