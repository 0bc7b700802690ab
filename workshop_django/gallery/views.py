"""The gallery: upload an image, and see for each whether its message was sent and its thumbnail came."""

from django.conf import settings
from django.core.paginator import Paginator
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from workshop_django.image_sync.models import ReceivedMessage
from workshop_django.sqs.models import OutboxMessage

from .forms import ImageForm
from .models import Image

PER_PAGE = 24


@require_http_methods(["GET", "HEAD", "POST"])
def gallery(request):
    """GET shows the gallery; POST takes an upload, or shows the page again with the reason why not (400)."""
    form = ImageForm(request.POST or None, request.FILES or None)
    if request.method == "POST":
        if form.is_valid():
            form.save()
            return redirect("gallery")
    else:
        form = ImageForm()
    page = Paginator(Image.objects.all(), PER_PAGE).get_page(request.GET.get("page"))
    received = {}
    for message in ReceivedMessage.objects.filter(image__in=page.object_list):
        received.setdefault(message.image_id, message)
    unsent = set(OutboxMessage.objects.filter(sent_at=None).values_list("body__data__image_id", flat=True))
    cards = [
        {
            "image": image,
            "received": received.get(image.pk),
            "state": "processed" if image.pk in received else "waiting to be sent" if image.pk in unsent else "sent",
        }
        for image in page.object_list
    ]
    return render(
        request,
        "gallery/gallery.html",
        {"form": form, "page": page, "cards": cards, "announced": bool(settings.SYNC_ENDPOINTS)},
        status=400 if form.errors else 200,
    )
