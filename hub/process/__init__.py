"""Process control: the supervisor of `hub up`, and the signals that stop a process."""
