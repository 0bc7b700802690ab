"""The function that this workshop ships."""

from lambda_function import lambda_handler  # noqa: F401  (this is the contender)
