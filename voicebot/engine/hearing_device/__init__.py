"""What all calls hear, computed on a device: the batch step of `engine.hearing` as tensors.

Every part keeps its state in tensors of one row for each slot and a last one that belongs to
nobody: rows that are computed without being meant write there, so that nothing depends on values
and a step can be recorded as a CUDA graph. The arithmetic is that of the rooms (audio, turns), to
whose modules these correspond by name; constants and weights are read from there.
"""
