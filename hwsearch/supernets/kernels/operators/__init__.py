"""The native operators as torch sees them: custom operators with shapes, and gradients, over the C library.

Each calls functions of the library that was bound last. Tensors are float32 on the CPU, pixels in rows of channels
(channels last); others are copied into that form. What an operator's gradient needs besides its inputs (the output
before the norm, mean and variance) it returns as further outputs, which have no gradient.
"""
