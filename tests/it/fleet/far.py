"""One end of a long cable: packets of a TUN device, a time late, to and from the other end.

python3 far.py DEVICE OWN_SOCKET OTHER_SOCKET MILLISECONDS
"""
import fcntl
import heapq
import os
import select
import socket
import struct
import sys
import time

device, own, other, late = sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4]) / 1e3
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", device.encode(), IFF_TUN | IFF_NO_PI))
near = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
near.bind(own)
near.setblocking(False)
print("plugged in", flush=True)

waiting = []
count = 0
while True:
    now = time.monotonic()
    while waiting and waiting[0][0] <= now:
        try:
            near.sendto(heapq.heappop(waiting)[2], other)
        except OSError:
            pass  # the other end is not there yet, or full: a lost packet
    left = max(0.0, waiting[0][0] - now) if waiting else None
    for ready in select.select([tun, near], [], [], left)[0]:
        if ready is near:
            try:
                os.write(tun, near.recv(65536))
            except OSError:
                pass  # the device is down
        else:
            packet = os.read(tun, 65536)
            count += 1
            heapq.heappush(waiting, (time.monotonic() + late, count, packet))
