"""The limit: a Django view on the same server that reads the message and does nothing; anyone may post."""

import json

from django.http import JsonResponse
from django.views.decorators.csrf import csrf_exempt

from . import kit

PATH = "/bare"


@csrf_exempt
def bare(request):
    assert json.loads(request.body)["image_id"] == 1
    return JsonResponse({"message": "Data processed successfully"})


def served():
    return kit.served()
