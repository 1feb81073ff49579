"""Topics: two cameras, and settings that whoever comes late gets at once. python examples/topics.py"""

import numpy as np

import nptransport as npt

cameras = npt.Publisher(bind="tcp://127.0.0.1:*")
settings = npt.Publisher(bind="tcp://127.0.0.1:*", retain=1)  # keeps the last message of each topic
settings.send({"exposure": 1 / 250, "gain": 2.0}, topic="settings/camera")  # nobody is there yet
settings.send({"exposure": 1 / 60, "gain": 1.0}, topic="settings/camera")

addresses = [cameras.address, settings.address]
left = npt.Subscriber(connect=addresses, topics="camera/left")
both = npt.Subscriber(connect=addresses, topics=["camera/", "settings/"])
cameras.wait_for_subscribers(2, topic="camera/left", timeout=10)
cameras.wait_for_subscribers(1, topic="camera/right", timeout=10)

for number in range(3):
    frame = np.full((480, 640), number, np.uint8)
    cameras.send(frame, topic="camera/left")
    cameras.send(frame, topic="camera/right")

for name, subscriber, count in [("left", left, 3), ("both", both, 7)]:
    for _ in range(count):
        message = subscriber.recv_message(timeout=10)
        shown = message.payload if isinstance(message.payload, dict) else message.payload.shape
        print(f"{name}: {message.topic} number {message.sequence}: {shown}")

with npt.Subscriber(connect=settings.address, topics="settings/") as late:
    print(f"late: {late.recv(timeout=10)}")

for endpoint in (left, both, cameras, settings):
    endpoint.close()
