"""Facts: the checkpoint, the GPUs, the container engine and the host, looked at and never touched."""
