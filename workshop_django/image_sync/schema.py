"""Tells drf-spectacular, which writes the OpenAPI schema, how AppKeyAuthentication looks on the wire."""

from drf_spectacular.extensions import OpenApiAuthenticationExtension


class AppKeyScheme(OpenApiAuthenticationExtension):
    target_class = "workshop_django.inbox.authentication.AppKeyAuthentication"
    name = "AppKey"

    def get_security_definition(self, auto_schema):
        return {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": "`Authorization: Token <key>`",
        }
