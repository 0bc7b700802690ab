from rest_framework import serializers

MAX_ID = 2**63 - 1  # what a BigAutoField holds


class StrictPositiveInteger(serializers.IntegerField):
    """A JSON number without fraction. DRF would take "7" and 7.0 as well, and hide a sender's mistake."""

    def to_internal_value(self, data):
        if not isinstance(data, int):
            raise serializers.ValidationError("Write a positive whole number, without quotes.")
        return super().to_internal_value(data)


class ImageProcessingSyncSerializer(serializers.Serializer):
    """The `data` of a message. Fields that are not known are ignored, so that senders may add some first."""

    image_id = StrictPositiveInteger(min_value=1, max_value=MAX_ID)


class MessageSerializer(serializers.Serializer):
    """An answer in words."""

    message = serializers.CharField()
