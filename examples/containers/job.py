"""Has workers blur photographs, and checks each against its own: python job.py tcp://broker:5555 [PICTURES]"""

import sys

import numpy as np
from filters import blur
from photographs import picture

import nptransport as npt

address = sys.argv[1]
count = int(sys.argv[2]) if len(sys.argv) > 2 else 200

with npt.Client(connect=address) as client:
    before = client.call("nptransport.broker", timeout=30)
    results = client.map("blur", map(picture, range(count)), timeout=120)  # in order: one for each, or an error
    for number, result in enumerate(results):
        if not np.array_equal(result, blur(picture(number))):
            sys.exit(f"picture {number} came back different from what it is here")
        if (number + 1) % 20 == 0:
            print(f"checked {number + 1} of {count}")
    broker = client.call("nptransport.broker", timeout=30)

results, lost, again = (broker[name] - before[name] for name in ("results", "lost_workers", "redelivered"))
print(f"{results} pictures blurred, all as here; workers lost: {lost}, pictures given out again: {again}")
if number + 1 != count:
    sys.exit(f"{count - number - 1} pictures are missing")
