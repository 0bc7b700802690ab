"""Chapter 3: right answers, and wrong ones by the key of the message that they must get (see test_answers.py)."""

q1 = {
    "right": [
        """
class ReceiveView(APIView):  # what both are in this project's settings, too
    def post(self, request):
        return Response({"message": "Data processed successfully"})
""",
        """
class ReceiveView(APIView):
    authentication_classes = []
    permission_classes = []

    def post(self, request):
        given = request.headers.get("Authorization", "").removeprefix("Token ")
        if not any(hmac.compare_digest(given, key) for key in AppKeyAuthentication.keys()):
            return Response({"detail": "Who are you?"}, status=401)
        return Response({"message": "Data processed successfully"})
""",
    ],
    "wrong": {
        "open": ["as given"],
        "no permission": [("[IsAuthenticated]", "[]")],
        "nobody": [("[AppKeyAuthentication]", "[]")],
        "raised": [("[IsAuthenticated]", '["IsAuthenticated"]')],
        "returned": [
            (
                "    def post",
                "    def handle_exception(self, exc):\n        return Response({}, status=403)\n\n    def post",
            )
        ],
        "no view": ["ReceiveView = [AppKeyAuthentication, IsAuthenticated]"],
    },
}

q2 = {
    "right": [
        """
def key_is_valid(given, app_key, fallbacks):
    keys = [key for key in (app_key, *fallbacks) if key]
    return bool(app_key) and any([hmac.compare_digest(given.encode(), key.encode()) for key in keys])
""",
        """
def key_is_valid(given, app_key, fallbacks):
    from django.utils.crypto import constant_time_compare

    valid = 0
    for key in [app_key, *fallbacks] if app_key else []:
        valid += constant_time_compare(given, key) and len(key) > 0
    return valid == 1
""",
    ],
    "wrong": {
        "unset": [
            "as given",
            ("    if not app_key:\n        return False\n", ""),
            (
                "if not app_key:",
                'if app_key == "":',
                "filter(None, [app_key, *fallbacks])",
                "[str(app_key), *fallbacks]",
            ),
            ("filter(None, [app_key, *fallbacks])", "[app_key, *fallbacks]"),
        ],
        "not constant": [
            ("hmac.compare_digest(given.encode(), key.encode())", "given == key"),
            ("    matches = []", "    if given == app_key:\n        return True\n    matches = []"),
        ],
        "returned": [("[app_key, *fallbacks]", "[app_key]"), ("any(matches)", "all(matches)")],
        "raised": [("given.encode(), key.encode()", "given, key")],
    },
}

q3 = {
    "right": [
        ("min_value=1, max_value=4096", "max_value=2**12, min_value=1, help_text='pixels'"),
        """
class ResizeSerializer(serializers.Serializer):
    width = StrictPositiveInteger()

    def validate_width(self, width):
        if not 1 <= width <= 4096:
            raise serializers.ValidationError("Write a number from 1 to 4096.")
        return width
""",
        """
class ResizeSerializer(serializers.Serializer):
    width = serializers.IntegerField(min_value=1, max_value=4096)

    def to_internal_value(self, data):
        if type(data.get("width")) is not int:
            raise serializers.ValidationError({"width": "Write a whole number."})
        return super().to_internal_value(data)
""",
    ],
    "wrong": {
        "converted": ["as given", ("StrictPositiveInteger", "serializers.IntegerField")],
        "returned": [
            ("min_value=1, ", ""),
            (", max_value=4096", ""),
            ("max_value=4096", "max_value=640"),
            ("min_value=1", "min_value=1, allow_null=True"),
        ],
        "missing": [("min_value=1", "min_value=1, required=False")],
        "unforeseen": [],
    },
}

q4 = {
    "right": [
        ('    if not done_now:\n        return Response({"message": "Already processed"})\n', ""),
        ('["There is no such image."]', """[f"There is no image {data['image_id']}."]"""),
        """
def respond(data, work):
    from rest_framework.exceptions import APIException, NotFound, ValidationError

    if not isinstance(data, dict) or "image_id" not in data:
        raise ValidationError({"image_id": ["Send a JSON object with an image_id."]})
    try:
        work(data["image_id"])
    except LookupError:
        raise NotFound from None
    return Response({"message": "Done"}, status=200)
""",
    ],
    "wrong": {
        "done": [
            "as given",
            ('"The image could not be processed. Try again later."}, status=500', '"It failed."}'),
            ('image."]}, status=404', 'image."]}'),
        ],
        "again": [('{"message": "Already processed"}', '{"message": "Already processed"}, status=409')],
        "told": [
            (
                "except Exception:",
                "except Exception as error:",
                '"The image could not be processed. Try again later."',
                "str(error)",
            ),
        ],
        "status": [("except LookupError", "except ZeroDivisionError"), ("status=500", "status=400")],
        "work": [("done_now = work", 'work(data["image_id"])\n        done_now = work')],
        "returned": [('return Response({"message": "Data processed successfully"})', 'return {"message": "done"}')],
    },
}

q5 = {
    "right": [
        """
class BearerKeyAuthentication(AppKeyAuthentication):
    def authenticate(self, request):
        header = request.headers.get("Authorization")
        if header is None:
            return None
        scheme, _, key = header.partition(" ")
        valid = [hmac.compare_digest(key.encode("latin-1"), known.encode()) for known in self.keys()]
        if scheme.lower() == "bearer" and any(valid):
            return App(), None
        raise AuthenticationFailed

    def authenticate_header(self, request):
        return 'Bearer realm="images"'
""",
        ("if not words:", "if len(words) == 0:"),
        ("if len(words) != 2 or words[0].lower()", "if len(words) == 1 or len(words) > 2 or words[0].lower()"),
    ],
    "wrong": {
        "no scheme": [
            "as given",
            ('    def authenticate_header(self, request):\n        return "Bearer"', ""),
            ('"Bearer"', '"Token"'),
        ],
        "let in": [
            ('raise AuthenticationFailed("Write the header as: Authorization: Bearer <key>")', "return None"),
            ('raise AuthenticationFailed("The key is not valid.")', "return None"),
            ("len(words) != 2 or words[0]", "len(words) < 2 or words[0]"),
            (' or words[0].lower() != b"bearer"', ""),
        ],
        "closed": [("            return None", '            raise AuthenticationFailed("No header.")')],
        "refused": [("App(), None", "None"), ("if not any(", "if not all(")],
        "raised": [("words[1], key.encode()", "words[1].decode(), key")],
    },
}
