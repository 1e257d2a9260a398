"""The skeleton of 25 joints of Kinect v2 and NTU RGB+D: which joint is where, and what five parts they make."""

from __future__ import annotations

#: joints of a skeleton
JOINTS = 25

#: base of the spine, between the hips: the origin of a centred skeleton
HIP = 0

#: joints along the spine, whose distances make the unit of length
SPINE = (0, 1, 20)

#: joints of the five parts of a body, from 0: trunk with head, arms, legs
PARTS = {
    "trunk": (0, 1, 2, 3, 20),
    "left arm": (4, 5, 6, 7, 21, 22),
    "right arm": (8, 9, 10, 11, 23, 24),
    "left leg": (12, 13, 14, 15),
    "right leg": (16, 17, 18, 19),
}
