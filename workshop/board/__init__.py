"""The room's board: one page that shows an instructor where the room is, and who has a hand up.

A Django project of its own on `workshop_django/inbox`, as any project may take it: a key for each learner, a message
with an id, one effect however often it is told. `telling` is the learner's side of it.
"""
