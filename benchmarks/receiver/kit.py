"""The inbox that this workshop ships: who may post, each key once, one transaction. The work itself is nothing."""

from rest_framework import serializers

from workshop.lab.django_server import DjangoServer
from workshop.lab.processes import free_port
from workshop.run_folders import run_folder
from workshop_django.inbox.views import InboxApiView

PATH = "/kit"


class ImageSerializer(serializers.Serializer):
    image_id = serializers.IntegerField(min_value=1)


class Receive(InboxApiView):
    serializer_class = ImageSerializer

    def process(self, data, prepared):
        pass


def served():
    server = DjangoServer(run_folder(), port=free_port())
    server.start()
    return server
