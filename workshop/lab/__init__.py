"""The parts of the pipeline on this machine: local AWS, Django, more receivers, the tunnel. `Lab` opens them.

The names below load on first use, for doctor looks at this room before the packages are installed.
"""

from workshop import lazy

__getattr__ = lazy.names(
    __name__,
    ExtraReceiver="extra_receiver",
    Lab="lab",
    LabError="lab",
    LocalAws="local_aws",
    picture_file="picture",
)
