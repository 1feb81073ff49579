"""A pyzmq program that used the send_array and recv_array of pyzmq's documentation: only the import is new."""

import contextlib

import numpy as np
import zmq

from nptransport import recv_array, send_array

context = zmq.Context()
publisher, subscriber = context.socket(zmq.PUB), context.socket(zmq.SUB)
port = publisher.bind_to_random_port("tcp://127.0.0.1")
subscriber.connect(f"tcp://127.0.0.1:{port}")
subscriber.subscribe("camera/")
subscriber.rcvtimeo = 100

frame = np.asfortranarray(np.random.default_rng(1).normal(size=(480, 640)))  # the recipe would scramble this one
received = None
while received is None:  # until the subscription has reached the publisher
    send_array(publisher, frame, topic="camera/left")
    with contextlib.suppress(zmq.Again):
        received = recv_array(subscriber)

assert (received == frame).all()
assert received.flags.f_contiguous
print(f"received {received.dtype} {received.shape}, in Fortran order as it was sent")
context.destroy(linger=0)
