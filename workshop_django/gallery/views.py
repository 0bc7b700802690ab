"""The gallery: upload an image, and see for each whether its message was sent and its thumbnail came."""

from django.conf import settings
from django.core.paginator import Paginator
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from workshop_django.image_sync.models import Thumbnail
from workshop_django.sqs.models import OutboxMessage

from .forms import ImageForm
from .models import Image

PER_PAGE = 24


@require_http_methods(["GET", "HEAD", "POST"])
def gallery(request):
    """GET shows the gallery; POST takes an upload, or shows the page again with the reason why not (400)."""
    if request.method == "POST":
        form = ImageForm(request.POST, request.FILES)
        if form.is_valid():
            form.save()
            return redirect("gallery")
    else:
        form = ImageForm()
    page = Paginator(Image.objects.all(), PER_PAGE).get_page(request.GET.get("page"))
    return render(
        request,
        "gallery/gallery.html",
        {"form": form, "page": page, "cards": _cards(list(page)), "announced": bool(settings.SYNC_ENDPOINTS)},
        status=400 if form.errors else 200,
    )


def _cards(images: list[Image]) -> list[dict]:
    """What the page shows of each image: itself, its state in words, and its thumbnail, if it has one."""
    ids = [image.pk for image in images]
    thumbnails = {made.image_id: made for made in Thumbnail.objects.filter(image__in=ids).order_by("id")}
    sent = dict(  # image id: when its message was sent, None while it waits
        OutboxMessage.objects.filter(body__data__image_id__in=ids).values_list("body__data__image_id", "sent_at")
    )
    cards = []
    for image in images:
        if image.pk in thumbnails:
            state = "processed"
        elif image.pk not in sent:
            state = "not announced"
        else:
            state = "sent" if sent[image.pk] else "waiting to be sent"
        cards.append({"image": image, "thumbnail": thumbnails.get(image.pk), "state": state})
    return cards
