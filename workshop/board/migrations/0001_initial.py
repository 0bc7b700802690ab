import secrets

import django.db.models.deletion
from django.db import migrations, models

import workshop.board.models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Room",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("code", models.CharField(default=workshop.board.models.new_code, max_length=8)),
                ("link", models.CharField(default=secrets.token_urlsafe, max_length=100)),
                ("address", models.CharField(blank=True, max_length=300)),
            ],
        ),
        migrations.CreateModel(
            name="Member",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=40)),
                ("key_sha256", models.CharField(max_length=64, unique=True)),
            ],
        ),
        migrations.CreateModel(
            name="Event",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("what", models.CharField(max_length=5)),
                ("chapter", models.CharField(blank=True, max_length=60)),
                ("question", models.CharField(blank=True, max_length=10)),
                ("told_at", models.DateTimeField(auto_now_add=True)),
                (
                    "member",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="board.member"),
                ),
            ],
        ),
    ]
