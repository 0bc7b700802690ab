"""moto as the lab serves it, with workshop/lab/moto_speed_up.py."""

from workshop.lab.local_aws import LocalAws
from workshop.run_folders import run_folder


def served():
    aws = LocalAws(run_folder())
    aws.start()
    return aws.endpoint_url, aws.stop
