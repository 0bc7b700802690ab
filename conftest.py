"""Before any test or notebook runs: nothing on this machine can lead it to a real account or a real tunnel."""

import os


def pytest_configure(config):
    """Kernels and servers inherit this environment; python-dotenv does not overwrite what is set, even to nothing."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "WORKSHOP_"))]:
        del os.environ[name]
    os.environ.update(
        WORKSHOP_AWS="local",
        NGROK_AUTHTOKEN="",
        AWS_ENDPOINT_URL="http://127.0.0.1:9",  # the discard port: nothing listens there
        AWS_ACCESS_KEY_ID="testing",
        AWS_SECRET_ACCESS_KEY="testing",  # noqa: S106  (moto accepts any)
        AWS_DEFAULT_REGION="us-east-1",
        AWS_REGION_NAME="us-east-1",
        AWS_EC2_METADATA_DISABLED="true",
        AWS_CONFIG_FILE=os.devnull,
        AWS_SHARED_CREDENTIALS_FILE=os.devnull,
    )
