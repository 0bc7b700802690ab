"""The gallery: upload an image, and see for each whether its message was sent and its thumbnail came."""

from functools import wraps

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from workshop_django.image_sync.models import Thumbnail
from workshop_django.sqs.models import OutboxMessage

from .forms import ImageForm
from .models import Image

PER_PAGE = 24
MAX_ID = 2**63 - 1  # what the database can compare with


def login_in_production(view):
    """While DEBUG is on, for everybody. Elsewhere whoever finds the address could fill the disk, and see all."""
    guarded = login_required(view, login_url="admin:login")

    @wraps(view)
    def either(request, *args, **kwargs):
        return (view if settings.DEBUG else guarded)(request, *args, **kwargs)

    return either


@login_in_production
@require_http_methods(["GET", "HEAD", "POST"])
def gallery(request):
    """GET shows the gallery; POST takes an upload, or shows the page again with the reason why not (400)."""
    if request.method == "POST":
        form = ImageForm(request.POST, request.FILES)
        if form.is_valid():
            form.save()
            return redirect("./")  # relative: it holds below whatever prefix a proxy serves the site
    else:
        form = ImageForm()
    before = request.GET.get("before", "")
    images = Image.objects.order_by("-id")
    if before.isdecimal() and int(before) <= MAX_ID:
        images = images.filter(pk__lt=int(before))
    page = list(images[: PER_PAGE + 1])  # no page counts the images, which takes longer the more there are
    shown = {
        "form": form,
        "cards": _cards(page[:PER_PAGE]),
        "before": before,
        "older": page[PER_PAGE - 1].pk if len(page) > PER_PAGE else None,
        "announced": bool(settings.SYNC_ENDPOINTS),
    }
    return render(request, "gallery/gallery.html", shown, status=400 if form.errors else 200)


def _cards(images: list[Image]) -> list[dict]:
    """What the page shows of each image: itself, its state in words, and its thumbnail, if it has one."""
    ids = [image.pk for image in images]
    thumbnails = {made.image_id: made for made in Thumbnail.objects.filter(image__in=ids).order_by("id")}
    names = [str(image.announcement_id) for image in images]
    sent = dict(  # a message's id: when it was sent, None while it waits
        OutboxMessage.objects.filter(idempotency_key__in=names).values_list("idempotency_key", "sent_at")
    )
    cards = []
    for image, name in zip(images, names, strict=True):
        if image.pk in thumbnails:
            state = "processed"
        elif name not in sent:
            state = "not announced"
        else:
            state = "sent" if sent[name] else "waiting to be sent"
        cards.append({"image": image, "thumbnail": thumbnails.get(image.pk), "state": state})
    return cards
