"""What a chapter shows: in JupyterLab, on GitHub, in a terminal, and read aloud."""

import io
import re
import xml.etree.ElementTree as ElementTree  # noqa: S405  (our own pictures)

import pytest
from PIL import Image as Pillow

from workshop import display
from workshop.display import PARTS, Table, compare, pipeline, queues, source, time_axis, timeline
from workshop.figures import SCALE

SVG = "{http://www.w3.org/2000/svg}"


def drawn(picture):
    return ElementTree.fromstring(picture.svg)  # noqa: S314


def boxes(picture):
    """title -> its rectangle, in the order drawn."""
    texts = [text for text in drawn(picture).iter(SVG + "text") if text.get("font-size") == "14"]
    shapes = [rect for rect in drawn(picture).iter(SVG + "rect") if rect.get("rx") == "8"]
    return [(text.text, rect) for text, rect in zip(texts, shapes, strict=True)]


# The picture of the pipeline


def test_it_shows_every_part_in_the_order_in_which_a_message_passes_them():
    titles = [title for title, _ in boxes(pipeline())]
    assert titles == ["Django", "Amazon SQS", "AWS Lambda", "ngrok", "Django"]


@pytest.mark.parametrize("part", PARTS)
def test_a_marked_part_is_drawn_strong_and_named_in_brackets(part):
    picture = pipeline(part)
    fills = [rect.get("fill") for _, rect in boxes(picture)]
    assert [fill != "#ffffff" for fill in fills] == [name == part for name in PARTS]
    assert repr(picture).count("[") == 1
    assert f"[{PARTS[part][0]}]" in repr(picture)


def test_dead_letters_are_a_box_below_the_queue():
    picture = pipeline("queue", "dead letters")
    (title, box) = boxes(picture)[-1]
    assert title == "Dead letters"
    assert float(box.get("y")) > display.BOX_TOP + display.BOX_HEIGHT
    assert int(drawn(picture).get("height")) >= float(box.get("y")) + display.BOX_HEIGHT
    assert repr(picture).endswith("SQS --> [dead-letter queue]")


def test_all_that_is_drawn_lies_within_the_picture_and_no_boxes_overlap():
    picture = drawn(pipeline("dead letters"))
    width, height = int(picture.get("width")), int(picture.get("height"))
    assert picture.get("viewBox") == f"0 0 {width} {height}"
    areas = []
    for _, box in boxes(pipeline("dead letters")):
        left, top = float(box.get("x")), float(box.get("y"))
        right, bottom = left + float(box.get("width")), top + float(box.get("height"))
        assert left >= 0
        assert top >= 0
        assert right <= width
        assert bottom <= height
        areas.append((left, top, right, bottom))
    for one in areas:
        assert not [
            b for b in areas if b is not one and b[0] < one[2] and one[0] < b[2] and b[1] < one[3] and one[1] < b[3]
        ]


def test_it_is_read_aloud_as_it_is_printed():
    picture = pipeline("lambda")
    assert drawn(picture).get("role") == "img"
    assert drawn(picture).get("aria-label") == repr(picture)
    data, metadata = picture._repr_mimebundle_()
    assert (data["image/svg+xml"], data["text/plain"]) == (picture.svg, repr(picture))
    assert metadata["image/png"]["alt"] == repr(picture)


def test_where_no_svg_is_shown_there_is_a_png_that_shows_the_same():
    picture = pipeline("queue")
    shown = Pillow.open(io.BytesIO(picture.png)).convert("RGB")
    assert shown.size == (picture.width * SCALE, picture.height * SCALE)
    colours = [
        shown.getpixel((int(SCALE * (float(box.get("x")) + 12)), SCALE * (display.BOX_TOP + 8)))
        for _, box in boxes(picture)
    ]
    assert [colour == (11, 92, 173) for colour in colours] == [part == "queue" for part in PARTS]


def test_a_time_axis_has_a_bar_for_each_span_as_long_as_it_took():
    axis = time_axis([("message", [(0, 1, "waiting"), (1, 4, "in flight")]), ("function", [(1, 3, "working")])])
    bars = [rect for rect in drawn(axis).iter(SVG + "rect") if rect.get("height") == "26"]
    waiting, in_flight, working = (float(bar.get("width")) for bar in bars)
    assert in_flight == pytest.approx(3 * waiting, rel=0.01)
    assert working == pytest.approx(2 * waiting, rel=0.01)
    assert "in flight from 1.0 to 4.0 s" in repr(axis)


# A guess


@pytest.mark.parametrize(
    ("guess", "said"),
    [(None, "no guess"), (2, "So it was"), ("2 ", "So it was"), (3, "You guessed: 3. What happened: 2")],
)
def test_a_guess_is_set_beside_what_happened_and_none_is_none(guess, said, capsys):
    compare(guess, 2)
    assert said in capsys.readouterr().out


def luminance(colour):
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_every_text_can_be_read_against_its_box():
    picture = pipeline("lambda", "dead letters")
    texts = list(drawn(picture).iter(SVG + "text"))
    shapes = [rect for rect in drawn(picture).iter(SVG + "rect") if rect.get("rx") == "8"]
    for text, box in zip(texts, [box for box in shapes for _ in range(2)], strict=True):  # title and subtitle
        light, dark = sorted((luminance(text.get("fill")), luminance(box.get("fill"))), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5  # WCAG 2, level AA


def test_a_part_that_there_is_not_is_refused_by_name():
    with pytest.raises(ValueError, match="no part of the pipeline is called database, sqs"):
        pipeline("sqs", "database", "queue")


# Tables


def test_a_table_is_aligned_in_a_terminal():
    table = Table(["queue", "waiting"], [("image-processing-sync", 3), ("dlq", 10)], caption="Now")
    assert repr(table).splitlines() == [
        "Now",
        "queue                  waiting",
        "---------------------  -------",
        "image-processing-sync  3",
        "dlq                    10",
    ]


def test_a_table_is_html_in_a_notebook_with_headings_that_are_read_aloud():
    bundle = Table(["a"], [("b",)], caption="c")._repr_mimebundle_()
    assert bundle["text/plain"] == "c\na\n-\nb"
    table = ElementTree.fromstring(bundle["text/html"])  # noqa: S314
    assert table.find("caption").text == "c"
    assert [(cell.text, cell.get("scope")) for cell in table.iter("th")] == [("a", "col")]
    assert [cell.text for cell in table.iter("td")] == ["b"]


def test_what_a_message_says_is_shown_and_never_run():
    bad = "<script>alert(1)</script>"
    html = Table([bad], [(bad,)], caption=bad)._repr_mimebundle_()["text/html"]
    assert "<script>" not in html
    assert html.count("&lt;script&gt;") == 3


def test_a_table_without_rows_shows_its_headings():
    assert repr(Table(["a", "b"], [])) == "a  b\n-  -"


def test_cells_of_every_kind_are_shown_as_text():
    assert Table(["a"], [(None,), (1.5,), ({"k": 1},)]).rows == [["None"], ["1.5"], ["{'k': 1}"]]


def test_queues_shows_what_waits_what_is_in_flight_and_what_is_delayed(sqs, make_queue):
    first, second = make_queue(), make_queue()
    for _ in range(3):
        sqs.send_message(QueueUrl=first, MessageBody="a")
    sqs.send_message(QueueUrl=first, MessageBody="a", DelaySeconds=100)
    sqs.receive_message(QueueUrl=first)
    table = queues(sqs, first, second)
    assert table.headings == ["queue", "waiting", "in flight", "delayed"]
    assert table.rows == [[first.rsplit("/")[-1], "2", "1", "1"], [second.rsplit("/")[-1], "0", "0", "0"]]


def test_a_timeline_counts_milliseconds_from_its_first_event_in_their_order():
    table = timeline([(10.0042, "SQS", "received"), (10.0, "Django", "saved"), (11.5, "Lambda", "posted")])
    assert table.rows == [["0", "Django", "saved"], ["4", "SQS", "received"], ["1500", "Lambda", "posted"]]
    assert timeline([]).rows == []


# Code


def a_function():
    """Shown."""
    return 1


class AClass:
    def a_method(self):
        return 2


def test_source_is_the_code_as_it_stands_in_its_file():
    assert source(a_function).data == 'def a_function():\n    """Shown."""\n    return 1'
    assert source(AClass.a_method).data == "def a_method(self):\n    return 2"
    assert source(display).data.startswith('"""What a chapter shows')
    assert "def a_function" in re.sub("<[^>]*>", "", source(a_function)._repr_html_())


def test_a_frame_has_a_text_that_stays_the_same_and_its_page():
    frame = display.frame("http://127.0.0.1:1234/live/")
    assert repr(frame) == "in a frame: http://127.0.0.1:1234/live/"
    assert 'src="http://127.0.0.1:1234/live/"' in frame._repr_html_()
