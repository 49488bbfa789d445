# Cuts the power of a file system: what is not on its disk by now will not get there.
# Usage: power_cut.py FOLDER UNSYNCED. For ext4 and xfs, which have the same ioctl (GOINGDOWN or
# SHUTDOWN, _IOR('X', 125, __u32)); 2 means that not even the journal is written. Just before, it
# writes the new file UNSYNCED and does not sync it: if that is found whole later, no power was cut.
import fcntl
import os
import struct
import sys

folder = os.open(sys.argv[1], os.O_RDONLY)
unsynced = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT | os.O_EXCL)
os.write(unsynced, b"unsynced")
fcntl.ioctl(folder, 0x8004587D, struct.pack("I", 2))
